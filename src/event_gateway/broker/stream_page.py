"""Reads one page of a stream."""

import contextlib
from collections.abc import Sequence

import msgspec

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.pull import MAX_BATCH, ConsumerGone, Pulled, Puller
from event_gateway.broker.reading_consumers import reading

RESPONSE_TIMEOUT = 5.0  # seconds without a message after which NATS counts as away
MAX_REQUESTS = 3  # further requests without a message before reading fails
IDLE_LIMIT = 30.0  # seconds without requests after which the server deletes the consumer


class StreamPage(msgspec.Struct, frozen=True):
    """Messages in their order; ``remaining`` is how many messages of the stream follow them."""

    messages: list[Pulled]
    remaining: int


async def read_page(
    broker: Broker,
    stream: str,
    *,
    from_seq: int = 1,
    from_time: float | None = None,
    subject: str | None = None,
    subjects: Sequence[str] = (),
    limit: int = MAX_BATCH,
) -> StreamPage:
    """Reads at most ``limit`` messages (1 to 1,000) from a sequence or a time on.

    ``from_time`` in seconds since the epoch. With ``subject``, or ``subjects`` that do not overlap,
    reads only messages on these.
    A page of large messages has fewer of them. Raises the exceptions in BrokerError, and APIError.
    """
    config = reading(
        "page", IDLE_LIMIT, from_seq=from_seq, from_time=from_time, subject=subject,
        subjects=subjects,
    )  # fmt: skip
    info = await broker.js.add_consumer(stream, config)
    name, pending = info.name, info.num_pending or 0
    expected = min(limit, pending)
    puller = Puller(broker, stream, name)
    await puller.start()
    messages: list[Pulled] = []
    ended = False
    try:
        await puller.request(expected)
        requests = 0
        while len(messages) < expected:
            if puller.idle:
                if messages:
                    break  # the next message does not fit into this page
                requests += 1
                if requests > MAX_REQUESTS:
                    raise TimeoutError(f"NATS does not send the messages of {stream}")
                await puller.request(expected)  # the first message may need a request of its own
            batch = await puller.take(expected - len(messages), RESPONSE_TIMEOUT)
            if not batch and not puller.idle:
                # Messages that were deleted or expired in between do not arrive.
                left = (await broker.js.consumer_info(stream, name)).num_pending
                if left:
                    raise TimeoutError(f"NATS does not send the messages of {stream}")
                # Messages that were lost with the connection do not arrive either. The caller
                # reads on behind the last message, and gets those or an empty page.
                if not messages:
                    raise TimeoutError(f"messages of {stream} were lost on the way")
                pending = len(messages) + 1
                break
            for message in batch:
                if message.consumer_seq != len(messages) + 1:
                    raise TimeoutError(f"a message of {stream} was lost on the way")
                messages.append(message)
        ended = True
    except ConsumerGone:
        raise TimeoutError(f"the consumer on {stream} was deleted") from None
    finally:
        with contextlib.suppress(*BrokerError):
            await puller.stop()
            # While the server still looks for messages it does not answer: it deletes it later.
            if ended and broker.connected:
                await broker.js.delete_consumer(stream, name)
    return StreamPage(messages, pending - len(messages))
