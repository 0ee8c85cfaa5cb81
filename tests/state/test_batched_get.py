"""Events read back from the log, many in one request."""

import asyncio
import json
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from event_gateway.broker import batched_get
from event_gateway.broker import log_reader as log_module
from event_gateway.broker.batched_get import MAX_BYTES, get_batch, ranges
from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.failures import LogUnavailable
from event_gateway.broker.log_reader import LogReader
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.streams.definition import EVENTS
from support.client import connected, event
from support.patience import PATIENCE
from support.program import LOOPBACK, Program
from support.receiver import Receiver


def test_requested_sequences_are_grouped() -> None:
    assert ranges([]) == []
    assert ranges([7]) == [(7, 7)]
    assert ranges([5, 3, 4, 7, 12, 30, 31]) == [(3, 7), (12, 12), (30, 31)]


async def _filled(broker: Broker, count: int, size: int = 0) -> list[str]:
    sent = [event("bench.made", {"n": n, "text": "x" * size}) for n in range(count)]
    for item in sent:
        headers = {"Content-Type": "application/cloudevents+json", "Nats-Sequence": "1"}
        await broker.js.publish(EVENTS, json.dumps(item).encode(), headers=headers)
    return [item["id"] for item in sent]


def _ids(read: list[Received | Exception | None]) -> list[str | None]:
    return [item.event.id if isinstance(item, Received) else None for item in read]


async def test_each_event_has_its_sequence(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await broker.js.add_stream(name=EVENTS, subjects=[EVENTS], allow_direct=True)
    ids = await _filled(broker, 60)
    for gone in (10, 11, 60):
        await broker.js.delete_msg(EVENTS, gone)
    await _filled(broker, 1, 2)
    log = LogReader(broker)
    expected = [1, 9, 10, 12, 40, 59, 60, 99]
    read = await log.read_many(EVENTS, expected)
    assert _ids(read) == [ids[0], ids[8], None, ids[11], ids[39], ids[58], None, None]
    single = [await log.read(EVENTS, seq) for seq in expected]
    assert [item and (item.event, item.seq, item.time) for item in single] == [
        item and (item.event, item.seq, item.time)  # type: ignore[union-attr]
        for item in read
    ]
    await broker.close()


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\r\n", b"", b"\r\nNats-Num-Pending: 1\r\n"])
async def test_no_headers_of_a_message_put_it_in_the_place_of_another(
    servers: tuple[str, str], end: bytes
) -> None:
    """The server passes on headers as they are, also where their empty line is missing."""
    broker = await connect(servers[0])
    await broker.js.add_stream(name=EVENTS, subjects=[EVENTS], allow_direct=True)
    (id_,) = await _filled(broker, 1)
    place = (
        f"NATS/1.0\r\nNats-Stream: {EVENTS}\r\nNats-Subject: other\r\nNats-Sequence: 1\r\n"
        "Nats-Time-Stamp: 2020-01-01T00:00:00Z"
    )
    headers = place.encode() + end
    broker.nc.send(
        b"HPUB %b %d %d\r\n%b{}\r\n" % (EVENTS.encode(), len(headers), len(headers) + 2, headers)
    )
    async with asyncio.timeout(PATIENCE):  # NATS answers a flush before it has stored the message
        while (await broker.js.stream_info(EVENTS)).state.messages < 2:
            await asyncio.sleep(0.05)
    stored, ended = await get_batch(broker, EVENTS, [1, 2])
    assert ended
    assert (stored[1].subject, json.loads(stored[1].data)["id"]) == (EVENTS, id_)
    assert (stored[2].subject, stored[2].data) == (EVENTS, b"{}")
    await broker.close()


async def test_events_beyond_one_response_are_read_too(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await broker.js.add_stream(name=EVENTS, subjects=[EVENTS], allow_direct=True)
    ids = await _filled(broker, 12, 900_000)
    seqs = list(range(1, 13))
    result, ended = await get_batch(broker, EVENTS, seqs)
    assert ended
    assert 0 < len(result) < 12
    assert sum(len(item.data) for item in result.values()) <= MAX_BYTES + 1_000_000
    assert _ids(await LogReader(broker).read_many(EVENTS, seqs)) == ids
    await broker.close()


async def test_an_older_server_is_asked_one_by_one(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = await connect(servers[0])
    await broker.js.add_stream(name=EVENTS, subjects=[EVENTS], allow_direct=True)
    ids = await _filled(broker, 3)
    monkeypatch.setattr(log_module, "supports_batches", lambda broker: False)
    assert _ids(await LogReader(broker).read_many(EVENTS, [3, 1])) == [ids[2], ids[0]]
    await broker.close()


async def test_a_server_that_does_not_end_its_answer_is_waited_for_once(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server of NATS 2.10 answers, which may hold the stream behind a newer server."""
    monkeypatch.setattr(batched_get, "RESPONSE_TIMEOUT", 0.5)
    broker = await connect(servers[0])
    requested: list[dict[str, int]] = []

    async def older(message: Msg) -> None:
        requested.append(request := json.loads(message.data))
        headers = {"Nats-Sequence": str(request["seq"]), "Nats-Subject": "a.x",
                   "Nats-Time-Stamp": "2026-11-25T10:00:00.123456789Z"}  # fmt: skip
        body = json.dumps(event("a.x", {"n": request["seq"]})).encode()
        await broker.nc.publish(message.reply, body, headers=headers)

    await broker.nc.subscribe("$JS.API.DIRECT.GET.OLD", cb=older)
    log = LogReader(broker)
    for _ in range(2):
        read = await log.read_many("OLD", [4, 5, 9])
        assert [item.payload()["n"] for item in read if isinstance(item, Received)] == [4, 5, 9]
    batches = [item.get("batch") for item in requested]
    assert batches == [2, 1, None, None, None, None], "then each is asked for by itself"
    await broker.close()


async def test_a_silent_server_is_not_waited_for_twice(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batched_get, "RESPONSE_TIMEOUT", 0.3)
    broker = await connect(servers[0])
    request: list[bytes] = []

    async def silent(message: Msg) -> None:
        request.append(message.data)

    await broker.nc.subscribe("$JS.API.DIRECT.GET.HUNG", cb=silent)
    subscriptions = len(broker.nc._subs)
    read = await LogReader(broker).read_many("HUNG", [1, 2])
    assert [type(item) for item in read] == [LogUnavailable, LogUnavailable]
    assert len(request) == 1
    assert len(broker.nc._subs) == subscriptions, "nothing is left behind"
    await broker.close()


async def test_without_nats_an_error_is_raised(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await broker.close()
    [read] = await LogReader(broker).read_many(EVENTS, [1])
    assert isinstance(read, LogUnavailable)


async def test_deliveries_pending_over_a_kill_are_delivered_unchanged(
    tmp_path: Path, receiver: Receiver
) -> None:
    program = Program(tmp_path, LOOPBACK)
    at = await program.start()
    sent = [event(("a.x", "b.x")[n % 2], {"n": n}) for n in range(120)]
    async with connected(at["http"], at["nats"], at["key"]) as client:
        await client.webhook(id="w", url=f"{receiver.url}/w", events=["a.*"], enabled=False)
        await client.send(sent)
        async with asyncio.timeout(PATIENCE):
            while (await client.http.get("/v1/webhooks/w/stats")).json()["waiting"] < 60:
                await asyncio.sleep(0.05)
    program.kill()  # no event is cached any more
    at = await program.start()
    async with connected(at["http"], at["nats"], at["key"]) as client:
        await client.http.post("/v1/webhooks/w/enable")
        requests = await receiver.until(60, "/w")
    await program.stop()
    assert {request.json["id"]: request.json["data"]["n"] for request in requests} == {
        item["id"]: item["data"]["n"] for item in sent if item["type"] == "a.x"
    }
