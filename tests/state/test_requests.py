"""Requests over NATS, whose answers come to one inbox."""

import asyncio

import pytest
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.consumer_state import consumer_state
from support.patience import PATIENCE


async def answering(broker: Broker, subject: str, *, times: int = 1) -> None:
    async def answer(message: Msg) -> None:
        for _ in range(times):
            await message.respond(b"<" + message.data + b">")

    await broker.nc.subscribe(subject, cb=answer)


async def test_each_request_gets_its_own_answer(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await answering(broker, "echo")
    answers = await asyncio.gather(
        *(broker.nc.request("echo", b"%d" % number, PATIENCE) for number in range(50))
    )
    assert [answer.data for answer in answers] == [b"<%d>" % number for number in range(50)]
    assert len(broker.nc._requests._waiting) == 0
    await broker.close()


async def test_a_second_answer_is_dropped(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await answering(broker, "twice", times=2)
    for number in (b"1", b"2", b"3"):
        assert (await broker.nc.request("twice", number, PATIENCE)).data == b"<" + number + b">"
    await broker.close()


async def test_what_nobody_answers_is_raised(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    with pytest.raises(NoRespondersError):
        await broker.nc.request("nobody", b"", PATIENCE)
    await broker.nc.subscribe("silent")
    with pytest.raises(NatsTimeout):
        await broker.nc.request("silent", b"", 0.01)
    task = asyncio.create_task(broker.nc.request("silent", b"", PATIENCE))
    while not broker.nc._requests._waiting:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not broker.nc._requests._waiting
    await broker.close()


async def test_answers_come_after_a_reconnect_too(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await answering(broker, "echo")
    await broker.nc.request("echo", b"", PATIENCE)
    reconnected = asyncio.Event()
    broker.add_reconnect_listener(reconnected.set)
    assert broker.nc._writer is not None
    broker.nc._writer.transport.abort()
    async with asyncio.timeout(PATIENCE):
        await reconnected.wait()
    assert (await broker.nc.request("echo", b"again", PATIENCE)).data == b"<again>"
    await broker.close()


async def test_the_state_of_a_consumer(servers: tuple[str, str]) -> None:
    broker = await connect(servers[0])
    await broker.js.add_stream(name="s", subjects=["s"])
    consumer = await broker.js.pull_subscribe("s", durable="c", stream="s")
    for _ in range(3):
        await broker.js.publish("s", b"")
    first, _ = await consumer.fetch(2, timeout=PATIENCE)
    await first.ack_sync(PATIENCE)
    state = await consumer_state(broker, "s", "c")
    assert (state.delivered.stream_seq, state.ack_floor.stream_seq) == (2, 1)
    assert (state.num_pending, state.num_ack_pending, state.settled) == (1, 1, False)
    with pytest.raises(NotFoundError):
        await consumer_state(broker, "s", "other")
    with pytest.raises(NotFoundError):
        await consumer_state(broker, "other", "c")
    await broker.close()
