"""A part of a stream, read at once."""

import contextlib
import secrets
from datetime import UTC, datetime

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.pull import MAX_BATCH, ConsumerGone, Pulled, Puller

PATIENCE = 5.0  # seconds without a message after which NATS counts as away
MAX_BYTES = 16 * 1024 * 1024  # of messages in one part
IDLE_LIMIT = 30.0  # seconds after which the server forgets a reader that went away


class Page(msgspec.Struct, frozen=True):
    """Messages in their order, and how many of the stream are behind them."""

    messages: list[Pulled]
    behind: int


async def page(
    broker: Broker,
    stream: str,
    *,
    from_seq: int = 1,
    from_time: float | None = None,
    subject: str | None = None,
    limit: int = MAX_BATCH,
) -> Page:
    """At most ``limit`` messages (1 to 1,000) of a stream from a sequence or a time (seconds since
    the epoch) on; with ``subject`` only those of that one. Fewer where they are large.

    Raises what BrokerError names, and APIError.
    """
    name = f"page-{secrets.token_hex(6)}"
    config = ConsumerConfig(
        name=name,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=IDLE_LIMIT,
        mem_storage=True,
        num_replicas=1,
        filter_subject=subject,
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=max(from_seq, 1),
    )
    if from_time is not None:
        config.deliver_policy = DeliverPolicy.BY_START_TIME
        config.opt_start_seq = None
        config.opt_start_time = datetime.fromtimestamp(from_time, UTC)
    pending = (await broker.js.add_consumer(stream, config)).num_pending or 0
    wanted = min(limit, pending)
    puller = Puller(broker, stream, name)
    await puller.start()
    messages: list[Pulled] = []
    behind, alone = pending, False
    try:
        await puller.ask(wanted, MAX_BYTES)
        while len(messages) < wanted:
            if puller.spent:
                if messages:
                    break  # one more would be too much at once
                if alone:
                    raise TimeoutError(f"NATS does not answer with messages of {stream}")
                wanted, alone = 1, True  # a single one that is larger than that
                await puller.ask(wanted)
            some = await puller.take(wanted - len(messages), PATIENCE)
            if not some and not puller.spent:
                # What is gone meanwhile (deleted, or too old) does not come.
                left = (await broker.js.consumer_info(stream, name)).num_pending
                if left:
                    raise TimeoutError(f"NATS does not answer with messages of {stream}")
                behind = len(messages)
                break
            messages += some
    except ConsumerGone:
        raise TimeoutError(f"the reader of {stream} is gone") from None
    finally:
        with contextlib.suppress(*BrokerError):
            await puller.stop()
            if broker.connected:
                await broker.js.delete_consumer(stream, name)
    return Page(messages, behind - len(messages))
