"""Batch mode: several events in one request, each of them a delivery of its own."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from event_gateway.core.webhook import validation
from support.client import BATCH, Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import ReceivedRequest, Receiver, serving

pytestmark = pytest.mark.shared

SLOW = {"max_events": 100, "max_wait": "1s"}
TRANSFORMATIONS = {
    "named": {"template": {"name": "{{ data.name.first }}", "n": "{{ data.n }}"}},
    "big": {"template": ["{{ data.text }}"] * 1500},
    "lines": {"base": "siem_format", "format": "cef"},
}


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return {"transformations": TRANSFORMATIONS}


def ids(received: list[ReceivedRequest]) -> list[list[str]]:
    """The events of each request."""
    return [[item["id"] for item in request.json] for request in received]


def flat(request: list[ReceivedRequest]) -> list[str]:
    """The events of all requests."""
    return [item for batch in ids(request) for item in batch]


async def many(client: Client, count: int, **attributes: Any) -> list[str]:
    """Sends ``count`` events in one batch; returns their ids."""
    sent = [event("user.x", {"n": n}, **attributes) for n in range(count)]
    await client.send(sent)
    return [item["id"] for item in sent]


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> str:
    """A ``max_wait`` so long that time releases no batch."""
    monkeypatch.setattr(validation, "MAX_BATCH_WAIT", 3600.0)
    return "1h"


async def test_a_batch_is_limited_by_count(client: Client, receiver: Receiver, never: str) -> None:
    webhook = await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], mode="batch",
        batch={"max_events": 100, "max_wait": never},
    )  # fmt: skip
    assert webhook["batch"] == {"max_events": 100, "max_bytes": 262144, "max_wait": never}
    sent = await many(client, 300)
    requests = await receiver.until(3, "/w")
    assert [len(batch) for batch in ids(requests)] == [100, 100, 100]
    assert sorted(flat(requests)) == sorted(sent)
    for request in requests:
        assert request.headers["content-type"] == BATCH["Content-Type"]
        assert request.headers["x-event-gateway-attempt"] == "1"
        assert all(webhook["data"]["enrichment"] for webhook in request.json)
    assert len({request.headers["webhook-id"] for request in requests}) == 3
    for event_id in (sent[0], sent[-1]):
        record = await client.until("w", event_id, "succeeded")
        assert len(record["attempts"]) == 1
    stats = (await client.http.get("/v1/webhooks/w/stats")).json()
    assert (stats["succeeded"], stats["attempts"]) == (300, 300)


async def test_a_batch_is_limited_by_time_and_by_bytes(
    client: Client, receiver: Receiver, never: str
) -> None:
    for name, batch in (("time", SLOW), ("bytes", SLOW | {
            "max_wait": never, "max_bytes": "10KiB"})):  # fmt: skip
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=[f"user.{name}"], mode="batch",
            batch=batch,
        )  # fmt: skip
    sent = [event("user.time") for _ in range(7)]
    await client.send(sent)
    (request,) = await receiver.until(1, "/time")
    assert [item["id"] for item in request.json] == [item["id"] for item in sent]
    sent = [event("user.bytes", {"text": "x" * 3000}) for _ in range(6)]
    for position in (3, 7):  # more than a whole request
        sent.insert(position, event("user.bytes", {"text": "x" * 20_000}))
    await client.send(sent)
    names = [item["id"] for item in sent]
    # Requests can be in flight at the same time, and arrive in any order.
    got_bytes = sorted(
        ids(await receiver.until(4, "/bytes")), key=lambda part: names.index(part[0])
    )
    assert got_bytes == [names[:3], names[3:4], names[4:7], names[7:]]


async def test_an_invalid_event_does_not_affect_the_others(client: Client) -> None:
    """The events of a failed batch are retried one by one, so only the refused ones fail."""
    came: list[list[str]] = []

    async def answer(request: Request) -> Response:
        batch = json.loads(await request.body())
        came.append([item["id"] for item in batch])
        bad = any(item["data"].get("bad") for item in batch)
        abort = {"webhook-delivery": "abort-message"} if bad and len(batch) > 1 else {}
        return Response("", 500 if bad else 200, abort)

    async with serving(Route("/w", answer, methods=["POST"])) as url:
        await client.webhook(
            id="w", url=f"{url}/w", events=["user.*"], mode="batch", batch=SLOW,
            retry_policy={"max_attempts": 3, "initial_delay": "100ms", "multiplier": 1},
        )  # fmt: skip
        sent = [event("user.x", {"bad": n == 3}) for n in range(8)]
        await client.send(sent)
        for position, item in enumerate(sent):
            record = await client.until("w", item["id"], "succeeded", "dead_letter")
            assert record["status"] == ("dead_letter" if position == 3 else "succeeded")
            assert len(record["attempts"]) == (3 if position == 3 else 2)
    assert came[0] == [item["id"] for item in sent]
    assert all(len(batch) == 1 for batch in came[1:])
    assert len(came) == 1 + 8 + 1
    # A word against the message is one against the request, not against each of its events.
    assert len({len(batch) for batch in came}) == 2
    breaker = (await client.http.get("/v1/webhooks/w/stats")).json()["breaker"]
    assert breaker["state"] == "closed"  # one failed request of eight is one failure


async def test_an_event_without_a_body_is_left_out(client: Client, receiver: Receiver) -> None:
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.x"], mode="batch", batch=SLOW,
        transformation="named",
    )  # fmt: skip
    sent = [event("user.x", {"n": n, "name": {"first": str(n)}}) for n in range(3)]
    await client.send(sent)
    (request,) = await receiver.until(1, "/w")
    assert request.headers["content-type"] == "application/json"
    assert [item["name"] for item in request.json] == ["0", "1", "2"]
    # Larger than a body may be: only this event is a dead letter.
    await client.webhook(
        id="v", url=f"{receiver.url}/v", events=["user.v"], mode="batch", transformation="big",
        batch=SLOW | {"max_bytes": "1MiB"},
    )  # fmt: skip
    sent = [event("user.v", {"text": "x" * size}) for size in (10, 2000, 20)]
    await client.send(sent)
    (request,) = await receiver.until(1, "/v")
    assert [len(item[0]) for item in request.json] == [10, 20]
    record = await client.until("v", sent[1]["id"], "dead_letter")
    assert record["attempts"][0]["error_type"] == "TransformationError"
    await client.until("v", sent[2]["id"], "succeeded")


async def test_batches_are_lines_or_arrays(client: Client, receiver: Receiver) -> None:
    for name in ("lines", "analytics_format"):
        await client.webhook(
            id=name, url=f"{receiver.url}/{name}", events=["user.*"], mode="batch", batch=SLOW,
            transformation=name,
        )  # fmt: skip
    sent = await many(client, 3)
    (lines,) = await receiver.until(1, "/lines")
    assert [line[:4] for line in lines.body.decode().split("\n")] == ["CEF:"] * 3
    (array,) = await receiver.until(1, "/analytics_format")
    assert [item["metadata"]["correlation_id"] for item in array.json] == sent


async def test_a_batch_is_signed_and_retried_as_single_events(
    start: Start, connect: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = base64.b64encode(os.urandom(32)).decode()
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_KEY", f"whsec_{secret}")
    client = await connect(await start({}))
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], mode="batch", batch=SLOW,
        security={"auth_type": "hmac_signature", "secret_name": "key"},
    )  # fmt: skip
    await many(client, 5)
    (request,) = await receiver.until(1, "/w")
    assert len(Verifier(secret).verify(request.body, request.headers)) == 5
    tried = await client.http.post("/v1/webhooks/w/test")
    assert tried.json()["succeeded"] is True
    alone = (await receiver.until(2, "/w"))[1]
    assert len(Verifier(secret).verify(alone.body, alone.headers)) == 1


BEYOND_LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"batch": {"max_events": 0}}, "batch.max_events"),
    ({"batch": {"max_events": 1001}}, "batch.max_events"),
    ({"batch": {"max_bytes": "17MiB"}}, "batch.max_bytes"),
    ({"batch": {"max_wait": "6s"}}, "batch.max_wait"),
    ({"ordered": True}, "mode"),
]


async def test_limits(client: Client, receiver: Receiver, subtests: pytest.Subtests) -> None:
    for change, key in BEYOND_LIMITS:
        with subtests.test(change=change, key=key):
            body = {"id": "w", "url": receiver.url, "events": ["a.*"], "mode": "batch"} | change
            answer = await client.http.post("/v1/webhooks", json=body)
            assert (answer.status_code, answer.json()["errors"][0]["key"]) == (422, key)


async def test_batches_with_a_rate_limit_and_after_an_outage(
    client: Client, receiver: Receiver
) -> None:
    """Deliveries in the queue are batched again."""
    receiver.answers["/w"] = [503, 200]
    await client.webhook(
        id="w", url=f"{receiver.url}/w", events=["user.*"], mode="batch", batch=SLOW,
        circuit_breaker={"failure_threshold": 1, "open_for": "1s"}, enabled=False,
    )  # fmt: skip
    sent = await many(client, 150)
    await client.until("w", sent[-1], "pending")
    assert not receiver.requests_to("/w")
    answer = await client.http.patch("/v1/webhooks/w", json={"enabled": True})
    assert answer.status_code == 200, answer.text
    for event_id in sent:
        await client.until("w", event_id, "succeeded")
    sizes = [len(batch) for batch in ids(receiver.requests_to("/w"))]
    assert max(sizes) > 10, sizes


async def test_kill_the_gateway_with_batches(tmp_path: Path, receiver: Receiver) -> None:
    webhook = {
        "url": f"{receiver.url}/w", "events": ["user.*"], "mode": "batch",
        "batch": {"max_events": 20, "max_wait": "200ms"},
    }  # fmt: skip
    program = Program(tmp_path, LOOPBACK | {"webhooks": {"w": webhook}})
    sent: list[str] = []
    try:
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            for _ in range(10):
                sent += await many(client, 50)
            await receiver.until(3, "/w")
        program.kill()
        await program.start()
        async with asyncio.timeout(PATIENCE):
            while set(sent) - set(flat(receiver.requests_to("/w"))):
                await asyncio.sleep(0.1)
        assert await program.stop() == 0
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output
