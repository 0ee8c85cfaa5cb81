"""Durable names: positions that outlive connections, processes and outages."""

import asyncio
import contextlib
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from event_gateway.streaming import live_subscriptions
from support.client import Client, Socket, connected, event
from support.fixtures import Start
from support.looks import until_stored
from support.patience import PATIENCE
from support.peers import Peers

STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*"]}}}
WORK: dict[str, Any] = {"action": "subscribe", "stream": "work", "durable": "reader"}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


async def _events(socket: Socket, count: int) -> list[int]:
    out: list[int] = []
    while len(out) < count:
        frame = await socket.next()
        if frame["type"] == "event":
            out.append(frame["seq"])
    return out


async def _ack(socket: Socket, subscription: str, seq: int) -> None:
    await socket.connection.send(
        f'{{"action":"ack","ref":1,"subscription":"{subscription}","seq":{seq}}}'
    )
    while (frame := await socket.next())["type"] != "acked":
        assert frame["type"] in ("event", "caught_up"), frame
    assert (frame["ref"], frame["subscription"], frame["seq"]) == (1, subscription, seq)


async def test_a_reconnect_continues_after_the_acknowledged_position(
    client: Client, gateway: Running
) -> None:
    async with client.websocket() as socket:
        mine = await socket.request(**WORK)
        await client.send([event("scheduler.job.done") for _ in range(10)])
        assert await _events(socket, 10) == list(range(1, 11))
        await _ack(socket, mine["subscription"], 4)
        await _ack(socket, mine["subscription"], 3)  # the position never goes back
        for request, code in (
            ({"seq": 11}, "invalid"), ({"seq": -1}, "invalid"), ({"seq": "4"}, "invalid"),
            ({}, "invalid"), ({"seq": 1, "subscription": "x"}, "unknown_subscription"),
        ):  # fmt: skip
            requested = {"action": "ack", "subscription": mine["subscription"]} | request
            assert (await socket.request(**requested))["code"] == code
        plain = await socket.request(action="subscribe", stream="work")
        answer = await socket.request(action="ack", subscription=plain["subscription"], seq=1)
        assert answer["code"] == "not_durable"
        # An acknowledgement right before the end counts, too.
        await socket.connection.send(
            f'{{"action":"ack","subscription":"{mine["subscription"]}","seq":6}}'
        )
    await client.send([event("scheduler.job.done")])
    await client.lifecycle_events(2, "stream.unsubscribed")
    async with client.websocket() as socket:
        mine = await socket.request(**WORK | {"from": "first"})  # the stored position counts
        assert mine["seq"] == 6
        assert await _events(socket, 5) == [7, 8, 9, 10, 11]
    state = redis.asyncio.from_url(gateway.redis_url, decode_responses=True)
    assert await state.hget("durable:work:reader", "position") == "6"
    assert 29 * 86400 < await state.ttl("durable:work:reader") <= 30 * 86400
    await state.aclose()


async def test_events_after_the_first_subscription_are_not_lost_without_an_acknowledgement(
    client: Client,
) -> None:
    await client.send(event("scheduler.job.done"))
    await until_stored(client, "work", 1)
    async with client.websocket() as socket:
        assert (await socket.request(**WORK))["seq"] == 1
    await client.lifecycle_events(1, "stream.unsubscribed")
    await client.send([event("scheduler.job.done"), event("scheduler.job.done")])
    async with client.websocket() as socket:
        assert (await socket.request(**WORK))["seq"] == 1
        assert await _events(socket, 2) == [2, 3]


async def test_a_durable_name_is_for_one_subscription_at_a_time(
    peers: Peers, stack: contextlib.AsyncExitStack
) -> None:
    single, other = await peers.start(stack, STREAMS, STREAMS)
    async with single.websocket() as first, other.websocket() as second:
        mine = await first.request(**WORK)
        for socket in (first, second):
            assert (await socket.request(**WORK))["code"] == "durable_in_use"
        assert (await second.request(**WORK | {"durable": "another"}))["type"] == "subscribed"
        await second.request(**WORK | {"take_over": 1})
        result = await second.request(**WORK | {"take_over": True})
        assert result["type"] == "subscribed"
        frame = await first.next()
        assert (frame["type"], frame["subscription"], frame["code"]) == (
            "unsubscribed", mine["subscription"], "taken_over",
        )  # fmt: skip
        await single.send([event("scheduler.job.done") for _ in range(3)])
        await asyncio.sleep(0.3)
        assert await first.silent()
        await _events(second, 6)
        await _ack(second, result["subscription"], 2)
        # A process that is killed gives nothing up: who comes again need not wait for it.
        peers.programs[1].kill()
        answer = await first.request(**WORK)
        assert (answer["type"], answer["seq"]) == ("subscribed", 2)
        assert await _events(first, 1) == [3]


async def test_a_position_in_a_former_stream_is_told(client: Client) -> None:
    body = {"name": "s", "subjects": ["user.*"]}
    request = WORK | {"stream": "s"}
    for again in (False, True):
        assert (await client.http.post("/v1/streams", json=body)).status_code == 201
        await client.send([event("user.a") for _ in range(3)])
        async with asyncio.timeout(PATIENCE):
            while (await client.http.get("/v1/streams/s")).json()["state"]["messages"] < 3:
                await asyncio.sleep(0.05)
        if again:
            # It is told until a position in the present stream is stored, and gets all of it.
            async with client.websocket() as socket:
                mine = await socket.request(**request)
                missed = await socket.next()
                assert (missed["type"], missed["code"]) == ("missed", "stream_recreated")
                assert missed["last"] == mine["seq"]
                await _events(socket, 6)
            await client.lifecycle_events(2, "stream.unsubscribed")
        else:
            async with client.websocket() as socket:
                mine = await socket.request(**request | {"from": "first"})
                assert mine["seq"] == 0
                result = await _events(socket, 3)
                await _ack(socket, mine["subscription"], result[-1])
            assert (await client.http.delete("/v1/streams/s")).status_code == 204


async def test_events_that_are_left_out_move_the_position(
    client: Client, gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over them nothing is missed when the stream has dropped them since."""
    state = redis.asyncio.from_url(gateway.redis_url, decode_responses=True)

    async def stored(position: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await state.hget("durable:work:reader", "position") != position:
                await asyncio.sleep(0.05)

    only = WORK | {"expression": "event.data.n == 7"}
    async with client.websocket() as socket:
        mine = await socket.request(**only)
        await client.send([event("scheduler.job.done", {"n": n}) for n in range(10)])
        assert await _events(socket, 1) == [8]
        await _reached(client, 10)
        await _ack(socket, mine["subscription"], 8)
        await stored("10")
        # Without an event there is nothing to acknowledge.
        monkeypatch.setattr(live_subscriptions, "POSITION_INTERVAL", 0.05)
    async with client.websocket() as socket:
        mine = await socket.request(**only)
        await client.send([event("scheduler.job.done", {"n": 1}) for _ in range(5)])
        await _reached(client, 15)
    await stored("15")  # when it ends
    async with client.websocket() as socket:
        mine = await socket.request(**only)
        await client.send([event("scheduler.job.done", {"n": n}) for n in (7, 8)])
        assert await _events(socket, 1) == [16]
        await _reached(client, 17)
    await client.lifecycle_events(3, "stream.unsubscribed")
    assert await state.hget("durable:work:reader", "position") == "15", "16 is not acknowledged"
    await state.aclose()


async def _reached(client: Client, position: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            listed = (await client.http.get("/v1/subscriptions")).json()["items"]
            if [item["position"] for item in listed] == [position]:
                return
            await asyncio.sleep(0.05)


async def test_durable_names_while_redis_is_down(start: Start) -> None:
    running = await start(STREAMS)
    async with (
        connected(running.http_url, running.nats_url, running.admin_key) as client,
        client.websocket() as socket,
    ):
        mine = await socket.request(**WORK)
        await client.send([event("scheduler.job.done")])
        await _events(socket, 1)
        state = redis.asyncio.from_url(running.redis_url)
        # Redis delays every answer for longer than the gateway waits.
        pause = asyncio.ensure_future(state.client_pause(7000))
        await pause
        acking = asyncio.create_task(_ack(socket, mine["subscription"], 1))
        refused = asyncio.create_task(_refused(client))
        assert await refused == "unavailable"
        await asyncio.wait_for(acking, PATIENCE)
        assert await state.hget("durable:work:reader", "position") == b"1"
        await state.aclose()


async def _refused(client: Client) -> str:
    async with client.websocket() as socket:
        await socket.connection.send(
            '{"action":"subscribe","stream":"work","durable":"late","ref":1}'
        )
        return str((await socket.next(15))["code"])
