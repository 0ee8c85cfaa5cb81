"""Live subscribers of named streams over WebSocket."""

import asyncio
import json
import secrets
from typing import Any

import pytest
import redis.asyncio
import websockets

from event_gateway.broker import stream_contents
from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.fixtures import Start
from support.own_streams import OwnStream, own_stream
from support.patience import PATIENCE

STREAMS = {
    "streams": {
        "audit": {"subjects": ["audit.events.*"], "retention": "2y", "compliance": True},
        "work": {"subjects": ["terminus.commit.*", "scheduler.job.*"], "max_messages": 1000},
    }
}

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def configuration() -> dict[str, Any]:
    return STREAMS


@pytest.fixture
async def own(client: Client) -> OwnStream:
    return await own_stream(client)


async def _ids(socket: Any, count: int) -> list[str]:
    return [(await socket.next())["event"]["id"] for _ in range(count)]


async def _events(socket: Any, count: int) -> tuple[list[str], list[str]]:
    """Reads a number of events; returns their ids, and the types of the other frames."""
    result: list[str] = []
    text: list[str] = []
    while len(result) < count:
        frame = await socket.next()
        if frame["type"] == "event":
            result.append(frame["event"]["id"])
        else:
            text.append(frame["type"])
    return result, text


async def test_new_first_sequence_and_time(client: Client, own: OwnStream) -> None:
    sent = [event(own.type) for _ in range(6)]
    await client.send(sent[:3])
    await own.held(3)
    ids = [item["id"] for item in sent]
    async with client.websocket() as old, client.websocket() as other:
        new = await old.request(action="subscribe", ref=7, stream=own.name)
        assert new == {"type": "subscribed", "ref": 7, "subscription": new["subscription"],
                       "stream": own.name, "seq": 3}  # fmt: skip
        for start, position, expected in (
            ("first", 0, ids[:3]), ({"seq": 2}, 1, ids[1:3]), ({"seq": 4}, 3, []),
            ({"time": "2020-01-01T00:00:00Z"}, None, ids[:3]),
        ):  # fmt: skip
            answer = await other.request(action="subscribe", stream=own.name, **{"from": start})
            assert answer["type"] == "subscribed"
            if position is not None:
                assert answer["seq"] == position
            assert await _ids(other, len(expected)) == expected
            if expected:
                assert (await other.next())["type"] == "caught_up"
            gone = await other.request(action="unsubscribe", subscription=answer["subscription"])
            assert gone["type"] == "unsubscribed"
        await client.send(sent[3:])
        frames = [await old.next() for _ in range(3)]
        assert [(frame["seq"], frame["event"]["id"]) for frame in frames] == list(
            zip((4, 5, 6), ids[3:], strict=True)
        )
        assert await other.silent()


async def test_the_hand_over_from_log_to_live_has_no_gap(client: Client, own: OwnStream) -> None:
    sent = [event(own.type, {"n": n}) for n in range(600)]
    await client.send(sent[:300])

    async def publish() -> None:
        for later in sent[300:]:
            await client.nats.publish(later["type"], json.dumps(later).encode())
            await asyncio.sleep(0.001)

    async with client.websocket() as socket:
        publishing = asyncio.create_task(publish())
        await socket.request(action="subscribe", stream=own.name, **{"from": "first"})
        result: list[Any] = []
        while len(result) < 600:
            frame = await socket.next()
            if frame["type"] == "event":
                result.append((frame["seq"], frame["event"]["id"]))
        await publishing
    assert result == [(n, item["id"]) for n, item in enumerate(sent, 1)]


async def test_several_subjects_keep_the_order_of_the_log(client: Client) -> None:
    sent = [event(("terminus.commit.made", "scheduler.job.done")[n % 2]) for n in range(200)]
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="work")
        await client.send(sent)
        assert await _ids(socket, 200) == [item["id"] for item in sent]


async def test_from_a_time_far_in_the_past_or_future(client: Client, own: OwnStream) -> None:
    """NATS counts nanoseconds in 63 bits: later times would overflow into the past."""
    await client.send(old := event(own.type))
    await own.held(1)
    for at, from_old in (("9999-01-01T00:00:00Z", False), ("0001-01-01T00:00:00Z", True)):
        async with client.websocket() as socket:
            start = {"from": {"time": at}}
            assert (await socket.request(action="subscribe", stream=own.name, **start))[
                "subscription"
            ]
            await client.send(new := event(own.type))
            first = old if from_old else new
            assert (await socket.next())["event"]["id"] == first["id"]


@pytest.mark.alone  # it looks at a position in the log
async def test_messages_that_are_not_events_are_skipped(client: Client) -> None:
    async with client.websocket() as socket:
        await socket.request(action="subscribe", stream="audit")
        await client.nats.publish("audit.events.x", b"no event")
        await client.nats.publish("audit.events.x", b'{"a": 1}')
        frame = await socket.next()
        assert (frame["seq"], frame["event"]["id"]) == (2, "GATEWAY_EVENTS-2")


async def test_a_subscription_is_stored_in_redis_and_reported(
    client: Client, own: OwnStream, gateway: Running
) -> None:
    other = await own_stream(client)
    state = redis.asyncio.from_url(gateway.redis_url, decode_responses=True)
    async with client.websocket() as socket:
        frame = await socket.request(action="subscribe", stream=own.name, **{"from": {"seq": 1}})
        ended = await socket.request(action="subscribe", stream=other.name)
        names = [frame["subscription"], ended["subscription"]]
        assert await state.exists(*(f"subscription:{name}" for name in names)) == 2
        stored = await state.hgetall(f"subscription:{names[0]}")
        assert stored["stream"] == own.name
        assert 0 < await state.ttl(f"subscription:{names[0]}") <= 3600
        await client.send([event(own.type), event(own.type)])
        await _ids(socket, 2)
        await socket.request(action="unsubscribe", subscription=names[1])
        assert not await state.exists(f"subscription:{names[1]}")
    events = await client.lifecycle_events(
        4, "stream.subscribed", "stream.unsubscribed", about=[own.subject, other.subject]
    )
    assert not await state.exists(f"subscription:{names[0]}")
    await state.aclose()
    assert [(item["type"], item["subject"], item["data"]) for item in events] == [
        ("stream.subscribed", own.subject, {"stream": own.name, "subscription_id": names[0],
                                            "principal": "admin", "from": {"seq": 1}}),
        ("stream.subscribed", other.subject, {"stream": other.name, "subscription_id": names[1],
                                              "principal": "admin", "from": "new"}),
        ("stream.unsubscribed", other.subject, {"stream": other.name, "subscription_id": names[1],
                                                "reason": "unsubscribed", "sent": 0}),
        ("stream.unsubscribed", own.subject, {"stream": own.name, "subscription_id": names[0],
                                              "reason": "closed", "sent": 2}),
    ]  # fmt: skip


@pytest.mark.alone  # it looks at all lifecycle events
async def test_lifecycle_events_of_streams_are_published_once(
    client: Client, start: Start, gateway: Running
) -> None:
    stored = [
        json.loads(message.data) for message in await client.stream_messages("GATEWAY_LIFECYCLE")
    ]
    created = {item["subject"]: item["data"] for item in stored if item["type"] == "stream.created"}
    assert created == {
        "stream/audit": {"stream": "audit", "subjects": ["audit.events.*"], "retention": "2y",
                         "max_messages": None},
        "stream/work": {"stream": "work", "subjects": ["terminus.commit.*", "scheduler.job.*"],
                        "retention": None, "max_messages": 1000},
    }  # fmt: skip
    js = client.nats.jetstream()
    audit = (await js.stream_info("GATEWAY_STREAM_audit")).config
    assert (audit.max_age, audit.deny_delete, audit.deny_purge) == (2 * 365 * 86400, True, True)
    assert (await js.stream_info("GATEWAY_STREAM_work")).config.max_msgs == 1000


async def test_invalid_requests_get_an_error_and_keep_the_connection(client: Client) -> None:
    async with client.websocket() as socket:
        for request, code in (
            ({"action": "subscribe", "stream": "nope"}, "unknown_stream"),
            ({"action": "subscribe"}, "invalid"),
            ({"action": "subscribe", "stream": "audit", "from": {"seq": "x"}}, "invalid"),
            ({"action": "subscribe", "stream": "audit", "from": {"time": "noon"}}, "invalid"),
            ({"action": "unsubscribe", "subscription": "sub_0"}, "unknown_subscription"),
            ({"action": "dance"}, "unknown_action"),
        ):
            answer = await socket.request(ref="r", **request)
            assert (answer["type"], answer["ref"], answer["code"]) == ("error", "r", code)
            assert answer["detail"]
        for text in ("{", "[]", '"x"'):
            await socket.connection.send(text)
            assert (await socket.next())["code"] == "malformed"
        assert (await socket.request(action="ping", ref=1)) == {"type": "pong", "ref": 1}


async def test_a_client_without_a_key_is_refused(gateway: Running) -> None:
    url = gateway.http_url.replace("http", "ws", 1) + "/v1/ws"
    async with websockets.connect(url) as connection:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_slow_subscriber_delays_no_other_and_loses_nothing(
    client: Client,
) -> None:
    filler = secrets.token_urlsafe(37_500)  # 50 kB that the socket's compression leaves alone
    sent = [event("scheduler.job.done", {"n": n, "filler": filler}) for n in range(400)]
    # The system's buffers for the slow subscriber must be too small for all events.
    async with client.websocket(receive_buffer=65536) as slow, client.websocket() as quick:
        await slow.request(action="subscribe", stream="work")
        await quick.request(action="subscribe", stream="work")
        reading = asyncio.create_task(_events(quick, 400))
        for start in range(0, 400, 10):
            await client.send(sent[start : start + 10])
        ids = [item["id"] for item in sent]
        assert (await reading)[0] == ids
        result, text = await _events(slow, 400)
        assert result == ids
        assert text[:1] == ["lagging"]


async def test_sockets_are_closed_with_a_reconnect_code_at_shutdown(start: Start) -> None:
    running = await start(STREAMS)
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        client.websocket() as socket,
    ):
        await socket.request(action="subscribe", stream="audit")
        await running.gateway.drain()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        # Clients that reconnect meanwhile are refused too, and each end is reported.
        async with client.websocket() as again:
            with pytest.raises(websockets.ConnectionClosed) as refused:
                await again.next()
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1012
        assert (await client.http.get("/v1/streams/audit/sse")).status_code == 503
        assert (await client.lifecycle_events(1, "stream.unsubscribed"))[0]["data"][
            "reason"
        ] == "closed"
        assert (await client.http.get("/readyz")).status_code == 503


@pytest.mark.alone  # to delete its streams takes longer than another gateway
async def test_a_list_of_many_streams_says_what_each_holds(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"s{n:02}" for n in range(stream_contents.FEW + 4)]
    for n, name in enumerate(names):
        body = {"name": name, "subjects": [f"held.t{n % 3}"], "retention": "1d"}
        assert (await client.http.post("/v1/streams", json=body)).status_code == 201
    await client.send([event("held.t1") for _ in range(3)])
    async with asyncio.timeout(PATIENCE):
        while {(await _states(client))[name]["messages"] for name in names[1::3]} != {3}:
            await asyncio.sleep(0.05)
    listed = await _states(client)
    assert set(names) <= set(listed)
    for name, state in listed.items():
        assert state == (await client.http.get(f"/v1/streams/{name}")).json()["state"], name
    assert listed["s00"]["first_time"] is None
    monkeypatch.setattr(stream_contents, "MAX_LISTED", 1)
    assert await _states(client) == listed, "with more streams in NATS each is asked for"


async def _states(client: Client) -> dict[str, Any]:
    items = (await client.http.get("/v1/streams")).json()["items"]
    return {item["name"]: item["state"] for item in items}
