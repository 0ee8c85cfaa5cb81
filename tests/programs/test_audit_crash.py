"""No change is in force without a record: kills between, and NATS that does not answer."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import httpx

from event_gateway.core.audit.chain import ChainCheck
from support.client import Client, connected
from support.patience import PATIENCE
from support.program import Program, server_pids
from support.stopping import stop_process


async def _all(client: Client, **query: Any) -> list[dict[str, Any]]:
    answer = await client.http.get("/v1/audit-log", params={"limit": 1000} | query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def _definition(number: int) -> dict[str, Any]:
    return {"id": f"w{number}", "url": "https://receiver.test/", "events": ["a.b"]}


async def test_a_kill_leaves_no_change_without_a_record(tmp_path: Path) -> None:
    program = Program(tmp_path, {})
    next_number = 0
    for _ in range(3):
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            answered = asyncio.Event()

            async def register(client: Client = client, answered: asyncio.Event = answered) -> None:
                nonlocal next_number
                with contextlib.suppress(httpx.HTTPError):
                    while True:
                        next_number += 1
                        definition = _definition(next_number)
                        await client.http.post("/v1/webhooks", json=definition)
                        answered.set()

            async with asyncio.TaskGroup() as group:
                for _ in range(8):
                    group.create_task(register())
                await answered.wait()
                program.kill()
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        registered = (await client.http.get("/v1/webhooks", params={"limit": 1000})).json()["items"]
        calls = await _all(client, operation="webhooks.create")
        exported = await client.http.get("/v1/audit-log/export")
    assert registered
    recorded = {call["resource"]: call for call in calls}
    assert {f"webhook/{webhook['id']}" for webhook in registered} <= recorded.keys()
    assert {call["outcome"] for call in calls} == {"succeeded", "unknown"}
    answered_calls = [call for call in calls if call["outcome"] == "succeeded"]
    known = {f"webhook/{webhook['id']}" for webhook in registered}
    assert {call["resource"] for call in answered_calls} <= known
    check = ChainCheck()
    for line in exported.content.splitlines():
        check.add(line)
    assert check.problems == []
    assert await program.stop() == 0


async def test_nothing_changes_while_nats_takes_no_record(tmp_path: Path) -> None:
    program = Program(tmp_path, {})
    at = await program.start()
    nats = server_pids(program.data)["nats"]
    async with connected(at["http"], at["nats"], at["key"]) as client:
        await client.webhook(**_definition(1))
        stop_process(nats)
        try:
            refused = await asyncio.gather(
                client.http.patch("/v1/webhooks/w1", json={"timeout": "9s"}),
                client.http.post("/v1/replays/none/pause"),  # which needs Redis alone
            )
        finally:
            os.kill(nats, signal.SIGCONT)
        for answer in refused:
            assert answer.status_code == 503, answer.text
            assert "audit log cannot be written, and nothing was changed" in answer.text
            assert answer.headers["retry-after"]
        assert (await client.http.get("/v1/webhooks/w1")).json()["timeout"] == "15s"
        async with asyncio.timeout(PATIENCE):
            while len(calls := await _all(client, outcome="failed")) < 2:
                await asyncio.sleep(0.05)
        assert {(call["operation"], call["status"]) for call in calls} == {
            ("webhooks.change", 503), ("replays.pause", 503)
        }  # fmt: skip
        changed = await client.http.patch("/v1/webhooks/w1", json={"timeout": "9s"})
        assert changed.status_code == 200, changed.text
    assert await program.stop() == 0
    assert "the audit log is written again" in program.output
