"""A part of a stream, read at once."""

import contextlib
import secrets
from datetime import UTC, datetime

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.pull import MAX_BATCH, ConsumerGone, Pulled, Puller

PATIENCE = 5.0  # seconds without a message after which NATS counts as away
LATEST = 9.2e9  # seconds; the server counts nanoseconds in 63 bits, behind which it begins anew
TRIES = 3
IDLE_LIMIT = 30.0  # seconds after which the server forgets a reader that went away


class Page(msgspec.Struct, frozen=True):
    """Messages in their order, and how many of the stream are behind them."""

    messages: list[Pulled]
    behind: int


async def read_page(
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
        config.opt_start_time = datetime.fromtimestamp(min(max(from_time, 0), LATEST), UTC)
    pending = (await broker.js.add_consumer(stream, config)).num_pending or 0
    wanted = min(limit, pending)
    puller = Puller(broker, stream, name)
    await puller.start()
    messages: list[Pulled] = []
    behind = pending
    try:
        await puller.ask(wanted)
        tries = 0
        while len(messages) < wanted:
            if puller.spent:
                if messages:
                    break  # one more would be too much at once
                tries += 1
                if tries > TRIES:
                    raise TimeoutError(f"NATS does not answer with messages of {stream}")
                await puller.ask(wanted)  # a single one that is larger than that
            some = await puller.take(wanted - len(messages), PATIENCE)
            if not some and not puller.spent:
                # What is gone meanwhile (deleted, or too old) does not come.
                left = (await broker.js.consumer_info(stream, name)).num_pending
                if left:
                    raise TimeoutError(f"NATS does not answer with messages of {stream}")
                # Nor does what was on its way when the connection was lost: whoever goes on
                # behind the last one gets that, or hears that there is nothing.
                if not messages:
                    raise TimeoutError(f"messages of {stream} were lost on the way")
                behind = len(messages) + 1
                break
            for one in some:
                if one.consumer_seq != len(messages) + 1:
                    raise TimeoutError(f"a message of {stream} was lost on the way")
                messages.append(one)
    except ConsumerGone:
        raise TimeoutError(f"the reader of {stream} is gone") from None
    finally:
        with contextlib.suppress(*BrokerError):
            await puller.stop()
            if broker.connected:
                await broker.js.delete_consumer(stream, name)
    return Page(messages, behind - len(messages))
