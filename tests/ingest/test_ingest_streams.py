"""Existing JetStream streams that the gateway reads, and streams that conflict with its own."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig

from support.bus import connect_bus
from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver


async def _make(nats_url: str, **config: Any) -> None:
    bus = await connect_bus(nats_url)
    try:
        await bus.jetstream().add_stream(
            StreamConfig(name="ORDERS", subjects=["orders.>"], **config)
        )
    finally:
        await bus.close()


def _config(servers: tuple[str, str], receiver: Receiver, **more: Any) -> dict[str, Any]:
    return LOOPBACK | {
        "nats": {"url": servers[0]},
        "redis": {"url": servers[1]},
        "streams": {"live": {"subjects": ["orders.*", "user.*"]}},
        "webhooks": {
            "w": {"url": f"{receiver.url}/w", "events": ["orders.*", "user.*"],
                  "retry_policy": {"initial_delay": "200ms"}}
        },
    } | more  # fmt: skip


@pytest.mark.parametrize("direct", [True, False])
async def test_an_existing_stream_is_read_unchanged(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver, direct: bool
) -> None:
    await _make(servers[0], allow_direct=direct)
    program = Program(tmp_path, _config(servers, receiver, ingest={"streams": ["ORDERS"]}))
    bus = await connect_bus(servers[0])
    js = bus.jetstream()
    try:
        before = event("orders.old")
        await js.publish("orders.old", json.dumps(before).encode())
        at = await program.start()
        async with connected(at["http"], servers[0], at["key"]) as client:
            # The named stream starts with the stored events; webhooks get only later events.
            async with asyncio.timeout(PATIENCE):
                while len(await client.stream_messages("GATEWAY_STREAM_live")) < 1:
                    await asyncio.sleep(0.05)
            receiver.answers["/w"] = [500, 200]
            async with client.websocket() as socket:
                await socket.request(action="subscribe", stream="live")
                # A retry reads the event from where it lies.
                first = event("orders.made", {"n": 1})
                await js.publish("orders.made", json.dumps(first).encode())
                record = await client.until("w", first["id"], "succeeded")
                assert (record["stream"], len(record["attempts"])) == ("ORDERS", 2)
                sent = [event("orders.made", {"n": 2}), event("user.made"), event("orders.http")]
                await js.publish("orders.made", json.dumps(sent[0]).encode())
                await client.nats.publish("user.made", json.dumps(sent[1]).encode())
                await client.send(sent[2])
                await bus.publish("orders.made", b"no event")
                requests = await receiver.until(5)
                assert {request.json["id"] for request in requests[2:]} == {
                    item["id"] for item in sent
                }
                live = [(await socket.next())["event"]["id"] for _ in range(4)]
                assert sorted(live) == sorted([first["id"], *(item["id"] for item in sent)])
            # A webhook registered later gets only later events.
            await client.webhook(id="later", url=f"{receiver.url}/later", events=["orders.*"])
            (rejected,) = (await client.http.get("/v1/rejected")).json()["items"]
            assert (rejected["stream"], rejected["sequence"]) == ("ORDERS", 4)
        assert await program.stop() == 0
        # Events published while the gateway was down are read at its next start.
        missed = event("orders.made", {"n": 3})
        await js.publish("orders.made", json.dumps(missed).encode())
        await program.start()
        (late,) = await receiver.until(1, "/later")
        assert late.json["id"] == missed["id"]
        await receiver.until(6, "/w")
        # Even if somebody deletes the consumer.
        await js.delete_consumer("ORDERS", "router")
        last = event("orders.made", {"n": 4})
        await js.publish("orders.made", json.dumps(last).encode())
        await receiver.until(7, "/w")
        assert await program.stop() == 0
    finally:
        await bus.close()
        await program.stop()
    assert len(receiver.requests_to("/w")) == 7
    assert before["id"] not in {request.json["id"] for request in receiver.requests}
    assert "Traceback" not in program.output, program.output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"retention": RetentionPolicy.WORK_QUEUE}, "workqueue retention"),
        ({"max_msgs": 1000}, "drops its oldest events at max_msgs 1000"),
        ({"max_bytes": 100000}, "max_bytes 100000"),
        ({"max_age": 86400.0}, "keeps its events for 1d, less than the 5d14h24m"),
    ],
)
async def test_a_stream_that_could_lose_events_is_refused(
    tmp_path: Path,
    servers: tuple[str, str],
    receiver: Receiver,
    config: dict[str, Any],
    message: str,
) -> None:
    await _make(servers[0], **config)
    program = Program(tmp_path, _config(servers, receiver, ingest={"streams": ["ORDERS"]}))
    assert await program.start_fails() == 1
    assert program.last_line.startswith("event-gateway: ingest.streams: the stream ORDERS ")
    assert message in program.last_line
    assert "Traceback" not in program.output


async def test_a_stream_that_refuses_new_events_when_full_is_accepted(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver
) -> None:
    await _make(servers[0], max_msgs=1000, discard=DiscardPolicy.NEW, max_age=30 * 86400.0)
    program = Program(tmp_path, _config(servers, receiver, ingest={"streams": ["ORDERS"]}))
    await program.start()
    assert await program.stop() == 0


async def test_an_overlapping_stream_is_named(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver
) -> None:
    program = Program(tmp_path, _config(servers, receiver, ingest={"streams": ["NONE"]}))
    assert await program.start_fails() == 1
    assert program.last_line == "event-gateway: ingest.streams: NATS has no stream NONE"
    await _make(servers[0])
    program = Program(tmp_path, _config(servers, receiver))
    assert await program.start_fails() == 1
    assert program.last_line == (
        "event-gateway: the stream ORDERS captures orders.> already, which overlaps with orders.> "
        "of the gateway: list ingest.subjects without orders.>, or let the gateway read that "
        "stream, with ingest.streams: [ORDERS]"
    )
    # Both remedies work.
    for ingest in ({"subjects": ["user.>"]}, {"streams": ["ORDERS"]}):
        program = Program(tmp_path, _config(servers, receiver, ingest=ingest))
        await program.start()
        assert await program.stop() == 0


async def test_a_named_stream_of_an_existing_stream_changes_its_subjects(
    tmp_path: Path, servers: tuple[str, str], receiver: Receiver
) -> None:
    await _make(servers[0])
    program = Program(tmp_path, _config(servers, receiver, ingest={"streams": ["ORDERS"]}))
    at = await program.start()
    expected = []

    async def publish(subject: str) -> None:
        expected.append(event(subject)["id"])
        body = json.dumps(event(subject, id=expected[-1])).encode()
        await client.nats.jetstream().publish(subject, body)
        async with asyncio.timeout(PATIENCE):
            while len(await client.stream_messages("GATEWAY_STREAM_s")) < len(expected):
                await asyncio.sleep(0.05)

    try:
        async with connected(at["http"], servers[0], at["key"]) as client:
            await client.http.post("/v1/streams", json={"name": "s", "subjects": ["orders.a"]})
            await publish("orders.a")
            for subjects in (["orders.a", "user.a"], ["orders.*", "user.*"], ["orders.a"]):
                answer = await client.http.patch("/v1/streams/s", json={"subjects": subjects})
                assert answer.status_code == 200, answer.text
                await publish("orders.a")
                if len(subjects) == 2:
                    await publish("user.a")
            await asyncio.sleep(0.5)
            stored = [
                json.loads(message.data)["id"]
                for message in await client.stream_messages("GATEWAY_STREAM_s")
            ]
            assert stored == expected
        assert await program.stop() == 0
    finally:
        await program.stop()
