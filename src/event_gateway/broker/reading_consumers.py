"""Consumers that only read or count: they acknowledge nothing, one server holds them in memory, and
NATS deletes them once no client has asked them for a while."""

import contextlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker, BrokerError

ASKED_ONCE = 30.0  # seconds after which NATS deletes one that was created for a question
LATEST = 9.2e9  # seconds since the epoch; the server counts nanoseconds in 63 bits


def reading(
    purpose: str,
    idle: float,
    *,
    from_seq: int | None = None,
    from_time: float | None = None,
    subject: str | None = None,
    subjects: Sequence[str] = (),
    max_waiting: int | None = None,
) -> ConsumerConfig:
    """A consumer of a new name, which begins with ``purpose``.

    It starts at ``from_time`` (seconds since the epoch), else at ``from_seq``, else with the first
    message, and reads those on ``subject`` or on ``subjects``, which may not overlap. NATS deletes
    it after ``idle`` seconds without a request.
    """
    config = ConsumerConfig(
        name=f"{purpose}-{secrets.token_hex(6)}",
        ack_policy=AckPolicy.NONE,
        inactive_threshold=idle,
        mem_storage=True,
        num_replicas=1,
        max_waiting=max_waiting,
        filter_subject=subject,
        filter_subjects=list(subjects) or None,
        deliver_policy=DeliverPolicy.ALL,
    )
    if from_time is not None:
        config.deliver_policy = DeliverPolicy.BY_START_TIME
        config.opt_start_time = datetime.fromtimestamp(min(max(from_time, 0.0), LATEST), UTC)
    elif from_seq is not None:
        config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
        config.opt_start_seq = max(from_seq, 1)
    return config


async def asked_once(broker: Broker, stream: str, config: ConsumerConfig) -> ConsumerInfo:
    """What NATS says of a consumer when it creates it: how many messages it has yet to read, and
    behind which one it starts. Deletes it. Raises the exceptions in BrokerError, and APIError.
    """
    info = await broker.js.add_consumer(stream, config)
    with contextlib.suppress(NotFoundError, *BrokerError):  # else the server deletes it
        await broker.js.delete_consumer(stream, info.name)
    return info
