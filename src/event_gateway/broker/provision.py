"""The streams and consumers that the gateway keeps in JetStream, made or brought up to date."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from event_gateway.broker.connection import Broker
from event_gateway.broker.external_streams import ExternalStream, in_the_way
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE_SUBJECTS
from event_gateway.core.streams.log_subjects import merge_captured

log = structlog.get_logger(__name__)

LIFECYCLE = "GATEWAY_LIFECYCLE"
DEAD_LETTERS = "GATEWAY_DEAD_LETTERS"
REJECTED = "GATEWAY_REJECTED"
ROUTER = "router"

DAY = 86400.0
DUPLICATE_WINDOW = 120.0  # seconds in which the log itself drops an event that it has
ACK_WAIT = 10.0  # seconds until an event that nobody acknowledged is handed out again
MAX_UNACKED = 16_384
OVERLAP = 10065  # the server's code for subjects that another stream has
RESCALING = 60.0  # seconds until a stream has its other number of replicas
REJECTED_LIMIT = 1024**3


class ProvisionError(Exception):
    """JetStream refuses a stream that the gateway needs; the text says which and why."""


async def provision(
    broker: Broker,
    captured: tuple[str, ...],
    retention: float,
    max_bytes: int | None,
    letters_retention: float,
    external: Sequence[ExternalStream] = (),
) -> tuple[str, ...]:
    """Makes the gateway's own streams and the router's consumer; gives the captured subjects.

    ``retention`` in seconds, ``letters_retention`` that of dead letters. Subjects that an earlier
    start captured stay captured; those that a stream of ``external`` holds are read there.
    Raises ProvisionError.
    """
    captured = tuple(one for one in captured if not any(f.holds(one) for f in external))
    events = await existing(broker, EVENTS)
    if events is not None:
        captured = merge_captured(tuple(events.subjects or ()), captured)
    await ensure(
        broker,
        StreamConfig(
            name=EVENTS,
            subjects=list(captured),
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=retention,
            max_bytes=max_bytes or -1,
            discard=DiscardPolicy.NEW,
            duplicate_window=min(DUPLICATE_WINDOW, retention),
            allow_direct=True,
        ),
    )
    await ensure(
        broker,
        StreamConfig(
            name=LIFECYCLE, subjects=list(LIFECYCLE_SUBJECTS), storage=StorageType.FILE,
            max_age=DAY, max_bytes=1024**3, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
    )  # fmt: skip
    await ensure(
        broker,
        StreamConfig(
            name=DEAD_LETTERS, subjects=["eg.dead.>"], storage=StorageType.FILE,
            max_age=letters_retention, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
    )  # fmt: skip
    await ensure(
        broker,
        StreamConfig(
            name=REJECTED, subjects=["eg.rejected.>"], storage=StorageType.FILE,
            max_age=7 * DAY, max_bytes=REJECTED_LIMIT, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
    )  # fmt: skip
    await ensure_router(broker, EVENTS, 1)
    for stream in external:
        await ensure_router(broker, stream.name, None)
    return captured


async def ensure_router(broker: Broker, stream: str, from_seq: int | None) -> None:
    """The one durable consumer of a stream through which all processes share it.

    Where there is none it begins at ``from_seq``; None: with what comes from now on.
    """
    with contextlib.suppress(NotFoundError):
        await broker.js.consumer_info(stream, ROUTER)
        return
    if from_seq is None:
        start: dict[str, Any] = {"deliver_policy": DeliverPolicy.NEW}
    elif from_seq <= 1:
        start = {"deliver_policy": DeliverPolicy.ALL}
    else:
        start = {"deliver_policy": DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": from_seq}
    await broker.js.add_consumer(
        stream,
        ConsumerConfig(
            durable_name=ROUTER,
            **start,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT,
            max_deliver=-1,
            max_ack_pending=MAX_UNACKED,
            max_waiting=512,
        ),
    )


async def capture(broker: Broker, subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Adds subjects to what the log captures; gives all captured. Raises ProvisionError."""
    current = await existing(broker, EVENTS)
    if current is None:
        raise ProvisionError(f"the stream {EVENTS} is gone")
    merged = merge_captured(tuple(current.subjects or ()), subjects)
    if merged != tuple(current.subjects or ()):
        current.subjects = list(merged)
        await ensure(broker, current)
    return merged


async def ensure(broker: Broker, config: StreamConfig) -> None:
    """Makes a stream, or brings it up to date. Raises ProvisionError."""
    assert config.name
    try:
        former = await existing(broker, config.name)
        if config.num_replicas is None:
            kept = None if former is None else former.num_replicas
            config.num_replicas = broker.replicas or kept
        if former is None:
            await broker.js.add_stream(config)
        elif config.num_replicas in (None, former.num_replicas):
            await broker.js.update_stream(config)
        else:
            await _rescale(broker, config)
    except APIError as error:
        if error.err_code == OVERLAP:
            found = await in_the_way(broker, config)
            if found:
                raise ProvisionError(found) from None
        raise ProvisionError(
            f"NATS refuses the stream {config.name}: {error.description} ({error.err_code})"
        ) from None


async def _rescale(broker: Broker, config: StreamConfig) -> None:
    """Brings a stream to other servers: it answers nobody until those have chosen who leads."""
    assert config.name
    async with asyncio.timeout(RESCALING):
        while True:
            with contextlib.suppress(NatsTimeout, TimeoutError, ServiceUnavailableError):
                await broker.js.update_stream(config)
                info = await broker.js.stream_info(config.name)
                if info.cluster is not None and info.cluster.leader:
                    await broker.js.consumers_info(config.name)
                    return
            await asyncio.sleep(0.5)


async def existing(broker: Broker, name: str) -> StreamConfig | None:
    """A stream's configuration; None where there is none."""
    try:
        return (await broker.js.stream_info(name)).config
    except NotFoundError:
        return None
