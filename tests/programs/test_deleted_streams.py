"""Streams of the gateway that somebody deletes in NATS, while it runs or while it does not."""

import asyncio
import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import KeyNotFoundError, NotFoundError
from nats.js.kv import KeyValue

from support.client import Client, connected, event
from support.event_stream import EventStream
from support.looks import until_seen
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver

STREAMS = (
    "GATEWAY_STREAM_all", "GATEWAY_EVENTS", "GATEWAY_DEAD_LETTERS", "GATEWAY_REJECTED",
    "GATEWAY_LIFECYCLE", "KV_GATEWAY_REGISTRY",
)  # fmt: skip


def _config(receiver: Receiver) -> dict[str, Any]:
    ordered = {"url": f"{receiver.url}/ordered", "events": ["load.*"], "ordered": True}
    webhook = {"url": f"{receiver.url}/w", "events": ["load.*"]}
    return LOOPBACK | {
        "webhooks": {"w": webhook, "ordered": ordered},
        "streams": {"all": {"subjects": ["load.*"]}},
    }


async def _has(bucket: KeyValue, key: str) -> bool:
    try:
        await bucket.get(key)
    except KeyNotFoundError:
        return False
    return True


async def _accept(client: Client, accepted: list[str]) -> None:
    """Sends an event until it is accepted."""
    sent = event("load.made")
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.http.post(
                "/v1/events", json=sent, headers={"Content-Type": "application/cloudevents+json"}
            )
            if answer.status_code == 202:
                accepted.append(sent["id"])
                return
            assert answer.status_code == 503
            await asyncio.sleep(0.05)


async def _confirm_loss(client: Client, last_seq: int) -> None:
    """Waits until the loss of the log with its events up to a sequence is found; confirms it."""
    reason = (
        f"NATS has lost GATEWAY_EVENTS with its events up to {last_seq}, or is another server than "
        "before; POST /v1/repair/loss confirms that you know"
    )
    async with asyncio.timeout(PATIENCE):
        while reason not in (await client.http.get("/readyz")).json()["reasons"]:
            await asyncio.sleep(0.05)
    answer = await client.http.post("/v1/repair/loss")
    assert (answer.status_code, answer.json()) == (200, {"streams": ["GATEWAY_EVENTS"]})


async def _delivered(receiver: Receiver, accepted: list[str]) -> None:
    for path in ("/w", "/ordered"):
        async with asyncio.timeout(PATIENCE):
            while set(accepted) - {request.json["id"] for request in receiver.requests_to(path)}:
                await asyncio.sleep(0.05)
    ids = list(dict.fromkeys(request.json["id"] for request in receiver.requests_to("/ordered")))
    assert ids == accepted


@pytest.mark.parametrize("stream", STREAMS)
async def test_a_deleted_stream_is_created_again(
    tmp_path: Path, receiver: Receiver, stream: str
) -> None:
    """Health is degraded until then, one line is logged, and no later event is skipped."""
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    accepted: list[str] = []
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            js = client.nats.jetstream()
            for _ in range(5):
                await _accept(client, accepted)
            await _delivered(receiver, accepted)
            before = (await js.stream_info(stream)).state.last_seq
            # Once the gateway has seen one more event, it has seen what the stream held before.
            await _accept(client, accepted)
            await _delivered(receiver, accepted)
            await until_seen(client, len(accepted))
            if stream == "GATEWAY_EVENTS":
                before += 1
            async with client.http.stream("GET", "/v1/streams/all/sse?from=new") as live:
                lines = live.aiter_lines()
                await js.delete_stream(stream)
                reason = f"the stream {stream} was deleted, the gateway creates it again"
                async with asyncio.timeout(PATIENCE):
                    while reason not in (await client.http.get("/readyz")).json()["reasons"]:
                        await asyncio.sleep(0.05)
                if stream == "GATEWAY_EVENTS":
                    await _confirm_loss(client, before)
                async with asyncio.timeout(PATIENCE):
                    while (await client.http.get("/readyz")).json()["status"] != "ok":
                        await asyncio.sleep(0.05)
                if stream == "GATEWAY_STREAM_all":
                    async with asyncio.timeout(PATIENCE):
                        assert [line async for line in lines if "stream_recreated" in line]
            info = await js.stream_info(stream)
            if before:
                assert info.state.first_seq > before
            for _ in range(5):
                await _accept(client, accepted)
            await _delivered(receiver, accepted)
            created = await client.http.post(
                "/v1/webhooks", json={"id": "x", "url": "https://example.com", "events": ["a.b"]}
            )
            assert created.status_code == 201, created.text
    finally:
        await program.stop()
    # The line that the health is degraded, where that lasted for a while, repeats its reason.
    assert program.output.count('"a stream was deleted, the gateway creates it again"') == 1
    assert "Traceback" not in program.output, program.output
    # All that was registered is still there.
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        listed = (await client.http.get("/v1/webhooks")).json()["items"]
        assert {webhook["id"] for webhook in listed} == {"w", "ordered", "x"}
    await program.stop()


async def test_nats_loses_everything(tmp_path: Path, receiver: Receiver) -> None:
    """The new log begins behind the former one, so that what Redis knows of it skips nothing. The
    health is degraded, also after a restart, until somebody confirms that the log was lost."""
    program = Program(tmp_path, _config(receiver))
    accepted: list[str] = []
    for start in ("first", "lost", "again", "confirmed"):
        at = await program.start()
        async with connected(at["http"], at["nats"], at["key"]) as client:
            if start == "again":
                await _confirm_loss(client, 5)
            reasons = (await client.http.get("/readyz")).json()["reasons"]
            assert any("NATS has lost" in reason for reason in reasons) == (start == "lost")
            if start in ("first", "lost"):
                for _ in range(5):
                    await _accept(client, accepted)
            await _delivered(receiver, accepted)
            if start != "lost":
                assert (await client.http.post("/v1/repair/loss")).status_code == 409
        assert await program.stop() == 0
        if start == "first":
            shutil.rmtree(program.data / "nats")
    assert program.output.count("NATS has lost the log, or is another server than before") == 1


async def test_a_deleted_consumer_is_created_again(tmp_path: Path, receiver: Receiver) -> None:
    program = Program(tmp_path, _config(receiver))
    at = await program.start()
    accepted: list[str] = []
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            js = client.nats.jetstream()
            for _ in range(2):
                await _accept(client, accepted)
                await _delivered(receiver, accepted)
                for info in await js.consumers_info("GATEWAY_EVENTS"):
                    with contextlib.suppress(NotFoundError):  # a reader has deleted its own
                        await js.delete_consumer("GATEWAY_EVENTS", info.name)
            await _accept(client, accepted)
            await _delivered(receiver, accepted)
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_positions_of_a_stream_that_was_deleted_over_the_api(tmp_path: Path) -> None:
    """A later stream of the name has other sequences, also after a restart: a position in the
    former one is recognised, and nothing of the present one is skipped."""
    program = Program(tmp_path, LOOPBACK)
    body = {"name": "s", "subjects": ["user.*"]}
    try:
        for again in (False, True):
            at = await program.start()
            async with connected(at["http"], at["nats"], at["key"]) as client:
                if not again:
                    missing = await client.http.get("/v1/streams/s")
                    assert missing.status_code == 404
                    await client.http.post("/v1/streams", json=body)
                    await client.send([event("user.a") for _ in range(3)])
                created = await client.http.post("/v1/streams", json=body)
                assert created.status_code == (201 if again else 409)
                async with asyncio.timeout(PATIENCE):
                    while True:
                        state = (await client.http.get("/v1/streams/s")).json()["state"]
                        if state["messages"] == 3:
                            break
                        await asyncio.sleep(0.05)
                if not again:
                    assert (state["first_seq"], state["last_seq"]) == (1, 3)
                    assert (await client.http.delete("/v1/streams/s")).status_code == 204
                else:
                    first = state["first_seq"]
                    assert first > 3
                    for last in ("1", "3", str(first + 500)):
                        async with client.http.stream(
                            "GET", "/v1/streams/s/sse", headers={"Last-Event-ID": last}
                        ) as answer:
                            missed, *events = await EventStream(answer).take(4)
                        told = json.loads(missed.data)
                        assert (missed.event, told["code"]) == ("missed", "stream_recreated")
                        assert told["last"] == first - 1
                        assert [int(each.id) for each in events] == [first, first + 1, first + 2]
            assert await program.stop() == 0
    finally:
        await program.stop()


async def test_subscribers_of_a_new_stream_stay(tmp_path: Path) -> None:
    """A stream that is empty when the gateway first looks at it is no stream of somebody else. A
    creation that fails does not lose where the former stream of the name ended."""
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    try:
        async with connected(at["http"], at["nats"], at["key"]) as client:
            js = client.nats.jetstream()
            body = {"name": "fresh", "subjects": ["user.*"]}
            assert (await client.http.post("/v1/streams", json=body)).status_code == 201
            created = (await js.stream_info("GATEWAY_STREAM_fresh")).created
            async with client.http.stream("GET", "/v1/streams/fresh/sse") as answer:
                events = EventStream(answer)
                registry = await js.key_value("GATEWAY_REGISTRY")
                async with asyncio.timeout(PATIENCE):
                    while not await _has(registry, "log.GATEWAY_STREAM_fresh"):
                        await asyncio.sleep(0.05)  # until the gateway has looked at it
                await client.send([event("user.a") for _ in range(2)])
                assert [each.id for each in await events.take(2)] == ["1", "2"]
            assert (await js.stream_info("GATEWAY_STREAM_fresh")).created == created
            assert (await client.http.delete("/v1/streams/fresh")).status_code == 204
            refused = await client.http.post("/v1/streams", json=body | {"replicas": 3})
            assert refused.status_code >= 400, "this NATS is one server"
            marker = await js.get_last_msg(
                "KV_GATEWAY_REGISTRY", "$KV.GATEWAY_REGISTRY.stream.fresh"
            )
            assert (marker.headers or {})["Eg-Last-Seq"] == "2"
    finally:
        await program.stop()
