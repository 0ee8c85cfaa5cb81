"""Live subscribers of named streams over WebSocket."""

import asyncio
import json
import secrets
from typing import Any

import pytest
import redis.asyncio
import websockets

from event_gateway.cli.process.serve import Running
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE

STREAMS = {
    "streams": {
        "audit": {"subjects": ["audit.events.*"], "retention": "2y", "compliance": True},
        "work": {"subjects": ["terminus.commit.*", "scheduler.job.*"], "max_messages": 1000},
    }
}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def _ids(socket: Any, count: int) -> list[str]:
    return [(await socket.next())["event"]["id"] for _ in range(count)]


async def _events(socket: Any, count: int) -> tuple[list[str], list[str]]:
    """The ids of so many events, and the types of the frames in between."""
    got: list[str] = []
    said: list[str] = []
    while len(got) < count:
        frame = await socket.next()
        if frame["type"] == "event":
            got.append(frame["event"]["id"])
        else:
            said.append(frame["type"])
    return got, said


async def _holds(client: Client, stream: str, count: int) -> None:
    """Returns once a named stream has taken over what the log holds."""
    js = client.nats.jetstream()
    async with asyncio.timeout(PATIENCE):
        while (await js.stream_info(f"GATEWAY_STREAM_{stream}")).state.messages < count:
            await asyncio.sleep(0.01)


async def test_new_first_sequence_and_time(client: Client) -> None:
    sent = [event("audit.events.made") for _ in range(6)]
    await client.send(sent[:3])
    await _holds(client, "audit", 3)
    ids = [one["id"] for one in sent]
    async with client.websocket() as old, client.websocket() as other:
        new = await old.ask(action="subscribe", ref=7, stream="audit")
        assert new == {"type": "subscribed", "ref": 7, "subscription": new["subscription"],
                       "stream": "audit", "seq": 3}  # fmt: skip
        for start, position, expected in (
            ("first", 0, ids[:3]), ({"seq": 2}, 1, ids[1:3]), ({"seq": 99}, 3, []),
            ({"time": "2020-01-01T00:00:00Z"}, None, ids[:3]),
        ):  # fmt: skip
            answer = await other.ask(action="subscribe", stream="audit", **{"from": start})
            assert answer["type"] == "subscribed"
            if position is not None:
                assert answer["seq"] == position
            assert await _ids(other, len(expected)) == expected
            if expected:
                assert (await other.next())["type"] == "caught_up"
            gone = await other.ask(action="unsubscribe", subscription=answer["subscription"])
            assert gone["type"] == "unsubscribed"
        await client.send(sent[3:])
        frames = [await old.next() for _ in range(3)]
        assert [(one["seq"], one["event"]["id"]) for one in frames] == list(
            zip((4, 5, 6), ids[3:], strict=True)
        )
        assert await other.silent()


async def test_the_hand_over_from_log_to_live_has_no_hole(client: Client) -> None:
    sent = [event("scheduler.job.completed", {"n": n}) for n in range(600)]
    await client.send(sent[:300])

    async def publish() -> None:
        for one in sent[300:]:
            await client.nats.publish(one["type"], json.dumps(one).encode())
            await asyncio.sleep(0.001)

    async with client.websocket() as socket:
        publishing = asyncio.create_task(publish())
        await socket.ask(action="subscribe", stream="work", **{"from": "first"})
        got: list[Any] = []
        while len(got) < 600:
            frame = await socket.next()
            if frame["type"] == "event":
                got.append((frame["seq"], frame["event"]["id"]))
        await publishing
    assert got == [(n, one["id"]) for n, one in enumerate(sent, 1)]


async def test_several_subjects_keep_the_order_of_the_log(client: Client) -> None:
    sent = [event(("terminus.commit.made", "scheduler.job.done")[n % 2]) for n in range(200)]
    async with client.websocket() as socket:
        await socket.ask(action="subscribe", stream="work")
        await client.send(sent)
        assert await _ids(socket, 200) == [one["id"] for one in sent]


async def test_from_a_time_that_is_far_away(client: Client) -> None:
    """NATS counts nanoseconds in 63 bits: beyond them it would begin anew in the past."""
    await client.send(event("audit.events.old"))
    await _holds(client, "audit", 1)
    for at, first in (("9999-01-01T00:00:00Z", "new"), ("0001-01-01T00:00:00Z", "old")):
        async with client.websocket() as socket:
            start = {"from": {"time": at}}
            assert (await socket.ask(action="subscribe", stream="audit", **start))["subscription"]
            await client.send(event("audit.events.new"))
            assert (await socket.next())["event"]["type"] == f"audit.events.{first}"


async def test_what_is_no_event_is_skipped(client: Client) -> None:
    async with client.websocket() as socket:
        await socket.ask(action="subscribe", stream="audit")
        await client.nats.publish("audit.events.x", b"no event")
        await client.nats.publish("audit.events.x", b'{"a": 1}')
        frame = await socket.next()
        assert (frame["seq"], frame["event"]["id"]) == (2, "GATEWAY_EVENTS-2")


async def test_a_subscription_is_kept_in_redis_and_told_of(
    client: Client, gateway: Running
) -> None:
    state = redis.asyncio.from_url(gateway.redis_url, decode_responses=True)
    async with client.websocket() as socket:
        kept = await socket.ask(action="subscribe", stream="audit", **{"from": {"seq": 1}})
        ended = await socket.ask(action="subscribe", stream="work")
        names = [kept["subscription"], ended["subscription"]]
        assert await state.exists(*(f"subscription:{name}" for name in names)) == 2
        stored = await state.hgetall(f"subscription:{names[0]}")
        assert stored["stream"] == "audit"
        assert 0 < await state.ttl(f"subscription:{names[0]}") <= 3600
        await client.send([event("audit.events.a"), event("audit.events.b")])
        await _ids(socket, 2)
        await socket.ask(action="unsubscribe", subscription=names[1])
        assert not await state.exists(f"subscription:{names[1]}")
    told = await client.told(4, "stream.subscribed", "stream.unsubscribed")
    assert not await state.exists(f"subscription:{names[0]}")
    await state.aclose()
    assert [(one["type"], one["subject"], one["data"]) for one in told] == [
        ("stream.subscribed", "stream/audit", {"stream": "audit", "subscription_id": names[0],
                                               "principal": "admin", "from": {"seq": 1}}),
        ("stream.subscribed", "stream/work", {"stream": "work", "subscription_id": names[1],
                                              "principal": "admin", "from": "new"}),
        ("stream.unsubscribed", "stream/work", {"stream": "work", "subscription_id": names[1],
                                                "reason": "unsubscribed", "sent": 0}),
        ("stream.unsubscribed", "stream/audit", {"stream": "audit", "subscription_id": names[0],
                                                 "reason": "closed", "sent": 2}),
    ]  # fmt: skip


async def test_streams_are_told_of_once(client: Client, start: Start, gateway: Running) -> None:
    kept = [json.loads(one.data) for one in await client.all_of("GATEWAY_LIFECYCLE")]
    created = {one["subject"]: one["data"] for one in kept if one["type"] == "stream.created"}
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


async def test_wrong_requests_get_an_error_and_the_connection_stays(client: Client) -> None:
    async with client.websocket() as socket:
        for request, code in (
            ({"action": "subscribe", "stream": "nope"}, "unknown_stream"),
            ({"action": "subscribe"}, "invalid"),
            ({"action": "subscribe", "stream": "audit", "from": {"seq": "x"}}, "invalid"),
            ({"action": "subscribe", "stream": "audit", "from": {"time": "noon"}}, "invalid"),
            ({"action": "unsubscribe", "subscription": "sub_0"}, "unknown_subscription"),
            ({"action": "dance"}, "unknown_action"),
        ):
            answer = await socket.ask(ref="r", **request)
            assert (answer["type"], answer["ref"], answer["code"]) == ("error", "r", code)
            assert answer["detail"]
        for text in ("{", "[]", '"x"'):
            await socket.connection.send(text)
            assert (await socket.next())["code"] == "malformed"
        assert (await socket.ask(action="ping", ref=1)) == {"type": "pong", "ref": 1}


async def test_a_stranger_is_turned_away(gateway: Running) -> None:
    url = gateway.http_url.replace("http", "ws", 1) + "/v1/ws"
    async with websockets.connect(url) as connection:
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await connection.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_subscriber_that_does_not_read_slows_nobody_and_loses_nothing(
    client: Client,
) -> None:
    filler = secrets.token_urlsafe(37_500)  # 50 kB that the socket's compression leaves alone
    sent = [event("scheduler.job.done", {"n": n, "filler": filler}) for n in range(400)]
    # What the system buffers for the slow one must not hold all of it.
    async with client.websocket(receive_buffer=65536) as slow, client.websocket() as quick:
        await slow.ask(action="subscribe", stream="work")
        await quick.ask(action="subscribe", stream="work")
        reading = asyncio.create_task(_events(quick, 400))
        for start in range(0, 400, 10):
            await client.send(sent[start : start + 10])
        ids = [one["id"] for one in sent]
        assert (await reading)[0] == ids
        got, said = await _events(slow, 400)
        assert got == ids
        assert said[:1] == ["lagging"]


async def test_sockets_are_told_to_go_elsewhere_at_shutdown(start: Start) -> None:
    running = await start(STREAMS)
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        client.websocket() as socket,
    ):
        await socket.ask(action="subscribe", stream="audit")
        await running.gateway.drain()
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        # Who comes again meanwhile is sent elsewhere, too, and the end of each is told.
        async with client.websocket() as again:
            with pytest.raises(websockets.ConnectionClosed) as refused:
                await again.next()
        assert refused.value.rcvd is not None
        assert refused.value.rcvd.code == 1012
        assert (await client.http.get("/v1/streams/audit/sse")).status_code == 503
        assert (await client.told(1, "stream.unsubscribed"))[0]["data"]["reason"] == "closed"
        assert (await client.http.get("/readyz")).status_code == 503
