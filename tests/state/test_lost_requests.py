"""Requests for messages that are lost with the server of a cluster that had them."""

import asyncio
import contextlib
import json

import pytest
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from event_gateway.broker import pull
from event_gateway.broker.connection import connect
from event_gateway.broker.pull import Puller
from support.bus import connect_bus
from support.patience import PATIENCE


async def test_a_request_without_heartbeats_is_sent_again(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "SILENCE", 0.2)
    async with contextlib.AsyncExitStack() as stack:
        broker = await connect(servers[0])
        stack.push_async_callback(broker.close)
        other = await connect_bus(servers[0])
        stack.push_async_callback(other.close)
        # It has the requests in place of a consumer, and does not answer.
        requests = await other.subscribe("$JS.API.CONSUMER.MSG.NEXT.log.reader")
        await other.flush()
        puller = Puller(broker, "log", "reader")
        await puller.start()
        stack.push_async_callback(puller.stop)
        first = await _next_request(puller, requests)
        assert json.loads(first.data)["idle_heartbeat"] == 5e9
        again = await _next_request(puller, requests)
        assert (again.data, again.reply) == (first.data, first.reply)


async def test_a_request_that_is_lost_interrupts_the_task_that_waits_and_an_open_one_does_not(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "LOOK", 0.02)
    looks = asyncio.Semaphore(0)

    class Watched(Puller):
        def _look(self) -> None:
            super()._look()
            looks.release()

    async with contextlib.AsyncExitStack() as stack:
        broker = await connect(servers[0])
        stack.push_async_callback(broker.close)
        other = await connect_bus(servers[0])
        stack.push_async_callback(other.close)
        # It has the requests in place of a consumer, and does not answer.
        await other.subscribe("$JS.API.CONSUMER.MSG.NEXT.log.reader")
        await other.flush()
        puller = Watched(broker, "log", "reader")
        await puller.start()
        stack.push_async_callback(puller.stop)
        async with asyncio.timeout(PATIENCE):
            puller.interrupt_if_lost()
            assert await puller.take(10) == []  # no request is open
            await puller.request(10)
            puller.interrupt_if_lost()
            waiting = asyncio.create_task(puller.take(10))
            for _ in range(5):
                await looks.acquire()
            assert not waiting.done()
            monkeypatch.setattr(pull, "SILENCE", 0.0)
            assert await waiting == []


async def _next_request(puller: Puller, requests: Subscription) -> Msg:
    async with asyncio.timeout(PATIENCE):
        while not requests.pending_msgs:
            await puller.request(10)
            await asyncio.sleep(0.05)
    return await requests.next_msg(PATIENCE)
