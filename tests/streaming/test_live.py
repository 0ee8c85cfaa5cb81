"""Live subscribers: gaps, limits, compression, and the number of readers."""

import asyncio
import contextlib
import gc
import json
import sys
from types import FrameType
from typing import Any

import pytest
import websockets

from event_gateway.api.http.connection import Connection
from event_gateway.api.live import session, websocket_protocol
from event_gateway.streaming import feed, framing, send_buffer, stream_message, subscriber
from support.client import Client, connected, event
from support.fixtures import Start
from support.own_streams import OwnStream, own_stream
from support.patience import PATIENCE

# Those that an event for a live subscriber goes through.
ON_THE_WAY = (feed, framing, send_buffer, session, stream_message, subscriber, websocket_protocol)
STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*"], "max_messages": 1000}}}

pytestmark = pytest.mark.shared


@pytest.fixture
async def own(client: Client) -> OwnStream:
    return await own_stream(client, max_messages=1000)


async def _readers(client: Client, stream: str) -> int:
    return len(await client.nats.jetstream().consumers_info(f"GATEWAY_STREAM_{stream}"))


async def closed_with(socket: Any) -> tuple[int, str]:
    """The code and reason with which the gateway closes a socket."""
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            await socket.next()
    return socket.connection.close_code, socket.connection.close_reason


async def test_a_stream_has_one_reader_while_it_has_subscribers(
    client: Client, own: OwnStream
) -> None:
    assert await _readers(client, own.name) == 0
    async with client.websocket() as first, client.websocket() as other:
        for socket in (first, other, first):
            assert (await socket.request(action="subscribe", stream=own.name))[
                "type"
            ] == "subscribed"
        await client.send(event(own.type))
        for socket, copies in ((first, 2), (other, 1)):
            for _ in range(copies):
                assert (await socket.next())["type"] == "event"
        assert await _readers(client, own.name) == 1
    async with asyncio.timeout(PATIENCE):
        while await _readers(client, own.name):
            await asyncio.sleep(0.05)


async def test_a_late_subscriber_learns_which_events_are_gone(
    client: Client, own: OwnStream
) -> None:
    for first in range(0, 1500, 500):
        await client.send([event(own.type) for _ in range(first, first + 500)])
    await own.held(1500)
    async with client.websocket() as socket:
        answer = await socket.request(action="subscribe", stream=own.name, **{"from": {"seq": 101}})
        assert answer["seq"] == 500
        missed = await socket.next()
        assert missed == {"type": "missed", "subscription": answer["subscription"],
                          "stream": own.name, "first": 101, "last": 500}  # fmt: skip
        seqs = [(await socket.next())["seq"] for _ in range(1000)]
        assert seqs == list(range(501, 1501))
        assert (await socket.next())["type"] == "caught_up"


@pytest.mark.alone  # streams of later tests would read its 50 MB in the log
async def test_a_subscriber_too_far_behind_learns_which_events_are_gone(
    client: Client, own: OwnStream
) -> None:
    filler = "x" * 20_000
    async with client.websocket(receive_buffer=65536) as slow:
        await slow.request(action="subscribe", stream=own.name)
        for first in range(0, 2500, 25):
            await client.send(
                [event(own.type, {"filler": filler}) for _ in range(first, first + 25)]
            )
        await own.held(2500)
        expected, text = 1, []
        while expected <= 2500:
            frame = await slow.next()
            if frame["type"] == "event":
                assert frame["seq"] == expected
                expected += 1
            elif frame["type"] == "missed":
                assert frame["first"] == expected
                expected = frame["last"] + 1
                text.append("missed")
            else:
                text.append(frame["type"])
        assert text[0] == "lagging"
        assert "missed" in text
        assert (await slow.next())["type"] == "caught_up"


async def test_frames_are_compressed_only_where_that_is_configured(
    start: Start, connect: Start
) -> None:
    sent = event("scheduler.job.done", {"text": "z" * 1000})
    running = await start(STREAMS | {"server": {"subscribers": {"compression": True}}})
    client = await connect(running)
    async with client.websocket() as socket:
        assert [extension.name for extension in socket.connection.protocol.extensions] == [
            "permessage-deflate"
        ]
        await socket.request(action="subscribe", stream="work")
        await client.send(sent)
        assert (await socket.next())["event"]["id"] == sent["id"]


async def test_exceeded_limits_have_their_codes(start: Start) -> None:
    limits = {"max_connections": 2, "max_subscriptions": 2, "max_frame": "1KiB", "max_requests": 5}
    running = await start(STREAMS | {"server": {"subscribers": limits}})
    async with connected(running.http_url, running.nats_url, running.admin_key) as client:
        async with client.websocket() as first, client.websocket() as other:
            assert first.connection.protocol.extensions == []
            for _ in range(2):
                assert (await first.request(action="subscribe", stream="work"))[
                    "type"
                ] == "subscribed"
            assert (await first.request(action="subscribe", stream="work"))["code"] == "too_many"
            async with client.websocket() as third:
                code, reason = await closed_with(third)
                assert (code, "the most it may have" in reason) == (4429, True)
            await other.connection.send(json.dumps({"action": "ping", "ref": "x" * 1100}))
            assert (await closed_with(other))[0] == 1009
            for _ in range(20):
                await first.connection.send(json.dumps({"action": "ping"}))
            assert (await closed_with(first))[0] == 4429
        # Closed connections do not count any more.
        async with client.websocket() as again:
            assert (await again.request(action="ping"))["type"] == "pong"
            await again.connection.send(b"binary")
            assert (await closed_with(again))[0] == 1003


async def test_many_concurrent_requests_are_answered_in_order(client: Client) -> None:
    async with client.websocket() as socket:
        for number in range(300):
            await socket.connection.send(json.dumps({"action": "ping", "ref": number}))
        assert [(await socket.next())["ref"] for _ in range(300)] == list(range(300))


@pytest.mark.parametrize("head", [0, 20_000], ids=["short head", "long head"])
async def test_a_websocket_keeps_nothing_of_its_http_connection(client: Client, head: int) -> None:
    gc.collect()
    gc.disable()  # what goes, goes with its last reference
    try:
        before = _http_connections()
        async with contextlib.AsyncExitStack() as stack:
            headers = {"Cookie": "x" * head}
            sockets = [
                await stack.enter_async_context(client.websocket(headers=headers))
                for _ in range(20)
            ]
            for socket in sockets:
                assert (await socket.request(action="ping"))["type"] == "pong"
            assert _http_connections() - before < 5
    finally:
        gc.enable()


async def test_an_event_takes_few_calls_for_each_subscriber(client: Client, own: OwnStream) -> None:
    files = tuple(str(module.__file__) for module in ON_THE_WAY)
    calls = 0

    def count(frame: FrameType, what: str, argument: object) -> None:
        nonlocal calls
        calls += what == "call" and frame.f_code.co_filename in files

    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(client.websocket()) for _ in range(50)]
        for socket in sockets:
            await socket.request(action="subscribe", stream=own.name)
        sys.setprofile(count)
        try:
            await client.send(event(own.type))
            for socket in sockets:
                assert (await socket.next())["type"] == "event"
        finally:
            sys.setprofile(None)
    assert calls / len(sockets) < 6  # 4, and those for all of them


def _http_connections() -> int:
    return sum(isinstance(found, Connection) for found in gc.get_objects())
