"""Reads a stream in its order from a position on, across losses of the connection."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

import structlog
from nats.js.api import DeliverPolicy

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.pull import MAX_BYTES, ConsumerGone, Pulled, Puller
from event_gateway.broker.reading_consumers import reading

log = structlog.get_logger(__name__)

READ_AHEAD = 512  # messages
LOOK = 1.0  # seconds without a message after which a caller is told so
IDLE_LIMIT = 120.0  # seconds without requests after which the server deletes the consumer


async def follow_stream(
    broker: Broker,
    stream: str,
    *,
    from_seq: int | None = None,
    from_time: float | None = None,
    last_per_subject: bool = False,
    filter_subjects: Sequence[str] = (),
    read_ahead: int = READ_AHEAD,
    max_bytes: int = MAX_BYTES,
    empty_after: float | None = LOOK,
) -> AsyncGenerator[list[Pulled], None]:
    """Yields the messages of a stream in batches, in order and without gaps. It never ends.

    Starts at ``from_seq``, at ``from_time`` (seconds since the epoch), with the last message of
    each subject, or with the first message. With ``filter_subjects`` it reads only messages whose
    NATS subject one of them matches. An empty batch means that no message came for a while, about
    ``empty_after`` seconds; None: the caller does not want to know, and gets one only where the
    server is asked again.
    If the server loses the consumer, reading continues behind the last message. At most
    ``read_ahead`` messages, and about ``max_bytes``, are requested in advance.
    """
    position = from_seq
    while True:
        consumer = reading(
            "follow", IDLE_LIMIT, from_seq=position, from_time=from_time,
            subjects=filter_subjects, max_waiting=16,
        )  # fmt: skip
        if last_per_subject:
            consumer.deliver_policy = DeliverPolicy.LAST_PER_SUBJECT
            consumer.filter_subject = ">"
        try:
            name = (await broker.js.add_consumer(stream, consumer)).name
        except BrokerError as error:
            log.debug("the stream cannot be read yet", stream=stream, error=str(error))
            yield []
            await asyncio.sleep(0.5)
            continue
        puller = Puller(broker, stream, name, max_bytes)
        await puller.start()
        expected = 1
        try:
            while True:
                await puller.request(read_ahead)
                if empty_after is None:
                    puller.interrupt_if_lost()
                else:
                    puller.interrupt_at_beat(empty_after)
                batch = await puller.take(read_ahead)
                in_sequence = 0
                for pulled in batch:
                    if pulled.consumer_seq != expected:
                        break
                    expected += 1
                    in_sequence += 1
                if in_sequence:
                    position = batch[in_sequence - 1].seq + 1
                    from_time, last_per_subject = None, False
                if in_sequence < len(batch):
                    log.warning("a message was lost on the way, reading it again", stream=stream)
                    yield batch[:in_sequence]
                    break
                yield batch
        except ConsumerGone:
            log.debug("the consumer was deleted, creating another", stream=stream)
        except BrokerError as error:
            log.debug("reading the stream was interrupted", stream=stream, error=str(error))
        finally:
            with contextlib.suppress(*BrokerError):
                await puller.stop()
                if broker.connected:
                    await broker.js.delete_consumer(stream, name)
        await asyncio.sleep(0.1)
