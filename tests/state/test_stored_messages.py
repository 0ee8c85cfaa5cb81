"""A stream is read as it is stored, by one consumer as long as nothing is lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from nats.js.api import StreamConfig

from event_gateway.broker import stored_messages
from event_gateway.broker.connection import Broker
from event_gateway.core.compliance.chain import StoredMessage
from support.patience import PATIENCE

COUNT = 2 * stored_messages.BATCH + 500
STREAM = "READ"


@pytest.fixture
async def broker(servers: tuple[str, str]) -> AsyncIterator[Broker]:
    broker = Broker(servers[0])
    await broker.connect()
    await broker.js.add_stream(StreamConfig(name=STREAM, subjects=["read.*"]))
    for number in range(COUNT):
        headers = {"N": str(number)} if number % 3 else None
        await broker.nc.publish("read.x", b"%d" % number, headers=headers)
    async with asyncio.timeout(PATIENCE):
        while (await broker.js.stream_info(STREAM)).state.messages < COUNT:
            await asyncio.sleep(0.05)
    yield broker
    await broker.close()


async def test_batches_follow_each_other_and_a_consumer_that_was_deleted(broker: Broker) -> None:
    reader = stored_messages.stored_messages(broker, STREAM, 1)
    found: list[StoredMessage] = []
    async with asyncio.timeout(PATIENCE), contextlib.aclosing(reader):
        async for batch in reader:
            found += batch
            if len(found) >= COUNT:
                break
        assert [(each.seq, each.data) for each in found] == [
            (number + 1, b"%d" % number) for number in range(COUNT)
        ]
        assert [each.headers for each in found[:2]] == [b"", b"NATS/1.0\r\nN: 1\r\n\r\n"]
        # Its number among those of its consumer: no batch needed another consumer.
        assert found[-1].position == COUNT
        (consumer,) = await broker.js.consumers_info(STREAM)
        await broker.js.delete_consumer(STREAM, consumer.name)
        await broker.js.publish("read.x", b"more")
        async for batch in reader:
            if batch:
                break
        assert [(each.seq, each.data) for each in batch] == [(COUNT + 1, b"more")]
