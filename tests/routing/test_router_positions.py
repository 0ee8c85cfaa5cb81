"""The positions of routers: asked for once, and not where nothing has changed."""

import asyncio
import math

import pytest
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker, connect
from event_gateway.broker.consumer_state import ConsumerState, consumer_state
from event_gateway.broker.provision import ROUTER
from event_gateway.broker.stream_list import StreamList
from event_gateway.routing import router_positions
from event_gateway.routing.router_positions import RouterPositions
from support.patience import PATIENCE


class Asked:
    """Counts how often NATS is asked for the state of a consumer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0

        async def counted(broker: Broker, stream: str, consumer: str) -> ConsumerState:
            self.times += 1
            return await consumer_state(broker, stream, consumer)

        monkeypatch.setattr(router_positions, "consumer_state", counted)


async def test_nothing_is_asked_while_a_settled_stream_is_as_it_was(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(router_positions, "ASKED_AGAIN", math.inf)
    broker = await connect(servers[0])
    await broker.js.add_stream(name="s", subjects=["s"])
    consumer = await broker.js.pull_subscribe("s", durable=ROUTER, stream="s")
    asked = Asked(monkeypatch)
    positions = RouterPositions(broker, StreamList(broker))
    assert (await positions.read("s")).settled
    assert (await positions.read("s")).settled  # from now on it is known how the stream was
    before = asked.times
    assert (await positions.read("s")).ack_floor.stream_seq == 0
    assert asked.times == before
    await broker.js.publish("s", b"")
    assert (await positions.read("s")).num_pending == 1
    (message,) = await consumer.fetch(1, timeout=PATIENCE)
    assert (await positions.read("s")).num_ack_pending == 1
    await message.ack_sync(PATIENCE)
    assert (await positions.read("s")).ack_floor.stream_seq == 1
    await broker.js.delete_consumer("s", ROUTER)
    with pytest.raises(NotFoundError):
        await positions.read("s")
    await broker.close()


async def test_who_asks_at_the_same_time_shares_the_answer(
    servers: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = await connect(servers[0])
    await broker.js.add_stream(name="s", subjects=["s"])
    await broker.js.pull_subscribe("s", durable=ROUTER, stream="s")
    asked = Asked(monkeypatch)
    positions = RouterPositions(broker, StreamList(broker))
    first, second = await asyncio.gather(positions.read("s"), positions.read("s"))
    assert first is second
    assert asked.times == 1
    await broker.close()
