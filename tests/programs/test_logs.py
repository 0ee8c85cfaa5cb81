"""The log of a running gateway: what it says, in which form, and what it never says."""

import asyncio
import json
from pathlib import Path
from typing import Any

from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

TRACE = "0af7651916cd43dd8448eb211c80319c"


def _lines(output: str) -> list[dict[str, Any]]:
    """The lines that are JSON; all others are what ``serve`` prints for people."""
    lines = output.splitlines()
    result = [json.loads(line) for line in lines if line.startswith("{")]
    rest = [line for line in lines if not line.startswith("{")]
    known = ("event gateway ", "NATS ", "Redis ", "storage ", "admin key ", "draining;")
    assert all(line.startswith(known) for line in rest), rest
    return result


async def _until(program: Program, message: str, count: int = 1) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE):
        while True:
            lines = [line for line in _lines(program.output) if line["message"] == message]
            if len(lines) >= count:
                return lines
            await asyncio.sleep(0.02)


def _config(receiver: Receiver, **logs: str) -> dict[str, Any]:
    retries = {"max_attempts": 2, "initial_delay": "0.1s"}
    patient = {"failure_threshold": 1000}
    return LOOPBACK | {
        "telemetry": {"logs": logs},
        "transformations": {
            "fails": {"python": "support.functions:on_request"},
        },
        "webhooks": {
            "failing": {"url": f"{receiver.url}/failing", "events": ["user.*"],
                        "retry_policy": retries, "circuit_breaker": patient},
            "fragile": {"url": f"{receiver.url}/f", "events": ["user.*"],
                        "retry_policy": retries, "circuit_breaker": {"failure_threshold": 1}},
            "function": {"url": f"{receiver.url}/t", "events": ["user.*"],
                         "transformation": "fails", "retry_policy": retries},
            "healthy": {"url": f"{receiver.url}/healthy", "events": ["user.*"]},
        },
    }  # fmt: skip


async def test_failures_are_logged_and_nothing_secret(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers = {"/failing": [500], "/f": [503]}
    receiver.headers["/failing"] = {"x-canary": "canary-header"}
    program = Program(tmp_path, _config(receiver, format="json"), "--workers", "2",
                      PYTHONPATH=str(Path(__file__).parents[1]))  # fmt: skip
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            sent = event("user.made", {"canary": "canary-payload", "do": "canary-action"},
                         traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
                         correlationid="order-7")  # fmt: skip
            await client.send(sent)
            await client.nats.publish("user.odd", b'{"specversion": "1.0", "id": "canary-id"}')
            await client.until("failing", sent["id"], "dead_letter")
            await client.until("function", sent["id"], "dead_letter")
            await client.until("healthy", sent["id"], "succeeded")
            failed = [line for line in await _until(program, "attempt failed", 4)
                      if line["webhook"] == "failing"]  # fmt: skip
            assert [(line["attempt"], line["outcome"]) for line in failed] == [
                (1, "retry"), (2, "dead_letter"),
            ]  # fmt: skip
            for line in failed:
                assert line.items() >= {
                    "level": "info", "event_id": sent["id"], "event_type": "user.made",
                    "source": sent["source"], "trace_id": TRACE, "correlation_id": "order-7",
                    "stream": "GATEWAY_EVENTS", "seq": 1, "run": 1, "max_attempts": 2,
                    "error_type": "ServerError", "error": "HTTP 500", "status_code": 500,
                    "logger": "delivery.failure_lines",
                }.items()  # fmt: skip
            assert failed[0]["next_attempt_at"]
            assert "next_attempt_at" not in failed[1]
            ended = await _until(program, "delivery became a dead letter", 2)
            assert {line["webhook"] for line in ended} >= {"failing", "function"}
            assert ended[0]["level"] == "warning"
            assert {line["trace_id"] for line in ended} == {TRACE}
            (opened,) = await _until(program, "receiver keeps failing, circuit breaker opens")
            assert (opened["webhook"], opened["level"]) == ("fragile", "warning")
            await _until(program, "input rejected")
            # The receiver got the trace that the log names.
            header = receiver.requests_to("/failing")[0].headers["traceparent"]
            assert header[3:35] == TRACE
            # No line for what went well.
            assert not [line for line in _lines(program.output) if line.get("webhook") == "healthy"
                        and line["message"] != "webhook registered"]  # fmt: skip
            # Level and format change while all processes run.
            await program.reload(_config(receiver, level="debug", format="console"),
                                 "configuration reloaded")  # fmt: skip
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "canary-" not in program.output
    assert "[info" in program.output
    assert at["key"] not in program.output
    assert len({line["process"] for line in _lines_of_json(program.output)}) > 1


def _lines_of_json(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]
