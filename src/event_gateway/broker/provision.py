"""Creates and updates the gateway's own streams and consumers in JetStream."""

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
    StreamInfo,
)
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from event_gateway.broker.connection import Broker
from event_gateway.broker.external_streams import ExternalStream, describe_overlap
from event_gateway.broker.failures import is_full
from event_gateway.core.streams.definition import (
    EVENTS,
    LIFECYCLE,
    LIFECYCLE_RETENTION,
    LIFECYCLE_SUBJECTS,
)
from event_gateway.core.streams.log_subjects import merge_captured

log = structlog.get_logger(__name__)

DEAD_LETTERS = "GATEWAY_DEAD_LETTERS"
REJECTED = "GATEWAY_REJECTED"
AUDIT = "GATEWAY_AUDIT"
STATUS_BUCKET = "GATEWAY_STATUS"
STATUS = f"KV_{STATUS_BUCKET}"
MAX_STATUS_ENTRIES = 20_000  # further keys are refused; those that exist can still be written
MAX_STATUS_ENTRY = 16 * 1024  # bytes of an entry with its headers
OWN = (EVENTS, LIFECYCLE, DEAD_LETTERS, REJECTED, AUDIT, STATUS)
ROUTER = "router"

DAY = 86400.0
DUPLICATE_WINDOW = 120.0  # seconds in which JetStream drops a message whose id it has stored
ACK_WAIT = 10.0  # seconds until NATS redelivers an event that was not acknowledged
MAX_UNACKED = 16_384
OVERLAP = 10065  # error code of the server: another stream captures these subjects
RESCALE_TIMEOUT = 60.0  # seconds to change the number of a stream's replicas
SIDE_LIMIT = 1024**3  # bytes of the streams of lifecycle events and of rejected input
SIDE_SHARE = 16  # with little storage, each of them gets one part in SIDE_SHARE
LEAST_SIDE_LIMIT = 1024**2


class ProvisionError(Exception):
    """JetStream refuses a stream that the gateway needs. The text names stream and reason."""


async def provision(
    broker: Broker,
    captured: tuple[str, ...],
    retention: float,
    max_bytes: int | None,
    dead_letter_retention: float,
    external: Sequence[ExternalStream] = (),
    storage: int | None = None,
    *,
    audit_retention: float,
    audit_max_bytes: int | None,
) -> tuple[str, ...]:
    """Creates or updates the gateway's own streams and the router's consumers.

    ``retention`` (of events), ``dead_letter_retention`` and ``audit_retention`` in seconds,
    ``max_bytes`` of the events log. ``audit_max_bytes``: of the audit log; None takes what the
    other streams beside the log have. ``storage``: bytes that all streams together may use, None if
    that is not known. Returns the captured subjects: those that an earlier start captured, and
    those of ``captured`` that no external stream captures. Raises ProvisionError.
    """
    captured = tuple(
        subject for subject in captured if not any(stream.overlaps(subject) for stream in external)
    )
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
    await _ensure_side(
        broker,
        StreamConfig(
            name=LIFECYCLE, subjects=list(LIFECYCLE_SUBJECTS), storage=StorageType.FILE,
            max_age=LIFECYCLE_RETENTION, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
        storage,
    )  # fmt: skip
    await ensure(
        broker,
        StreamConfig(
            name=DEAD_LETTERS, subjects=["eg.dead.>"], storage=StorageType.FILE,
            max_age=dead_letter_retention, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
    )  # fmt: skip
    await _ensure_side(
        broker,
        StreamConfig(
            name=REJECTED, subjects=["eg.rejected.>"], storage=StorageType.FILE,
            max_age=7 * DAY, discard=DiscardPolicy.OLD, allow_direct=True,
        ),
        storage,
    )  # fmt: skip
    # No client can delete or purge records. One that may update or delete the stream can drop them.
    audit = StreamConfig(
        name=AUDIT, subjects=["eg.audit.*"], storage=StorageType.FILE, max_age=audit_retention,
        max_bytes=audit_max_bytes, discard=DiscardPolicy.OLD, allow_direct=True,
        deny_delete=True, deny_purge=True,
    )  # fmt: skip
    if audit_max_bytes is None:
        await _ensure_side(broker, audit, storage)
    else:
        await ensure(broker, audit)
    # It reserves no storage: `_ensure_side` would fail where the account has none left.
    await ensure(
        broker,
        StreamConfig(
            name=STATUS, subjects=[f"$KV.{STATUS_BUCKET}.>"], storage=StorageType.FILE,
            max_msgs_per_subject=1, max_msgs=MAX_STATUS_ENTRIES, max_msg_size=MAX_STATUS_ENTRY,
            discard=DiscardPolicy.NEW, allow_rollup_hdrs=True, allow_direct=True,
        ),
    )  # fmt: skip
    await ensure_router(broker, EVENTS, 1)
    for stream in external:
        await ensure_router(broker, stream.name, None)
    return captured


async def _ensure_side(broker: Broker, config: StreamConfig, storage: int | None) -> None:
    """Makes a stream that drops its oldest messages at a limit, which NATS reserves: SIDE_LIMIT, or
    less where NATS has less. A stream that is there is not made smaller: it would drop
    messages. Raises ProvisionError."""
    assert config.name
    if storage is None:
        storage = await _account_storage(broker)
    limit = SIDE_LIMIT
    if storage is not None:
        limit = min(limit, max(storage // SIDE_SHARE, LEAST_SIDE_LIMIT))
    former = await existing(broker, config.name)
    least = LEAST_SIDE_LIMIT if former is None else former.max_bytes or LEAST_SIDE_LIMIT
    limit = max(limit, min(least, SIDE_LIMIT))
    while True:
        config.max_bytes = limit
        try:
            await ensure(broker, config)
            break
        except ProvisionError as error:
            if limit <= least or not (error.__context__ and is_full(error.__context__)):
                raise
            limit = max(limit // 2, least)
    if limit < SIDE_LIMIT:
        log.info("NATS has little storage: a stream drops its oldest messages earlier",
                    stream=config.name, max_bytes=limit)  # fmt: skip


async def _account_storage(broker: Broker) -> int | None:
    """Bytes that the account may store; None if it has no limit."""
    limits = (await broker.js.account_info()).limits
    return limits.max_storage if limits.max_storage > 0 else None


async def has_router(broker: Broker, stream: str) -> bool:
    """Whether the durable consumer through which all processes share a stream is there."""
    with contextlib.suppress(NotFoundError):
        await broker.js.consumer_info(stream, ROUTER)
        return True
    return False


async def ensure_router(
    broker: Broker, stream: str, from_seq: int | None, *, unused: float | None = None
) -> None:
    """Creates the durable consumer through which all processes share a stream, if it is missing.

    A new consumer starts at ``from_seq``; None: with the messages that arrive from now on.
    ``unused``: seconds without a request for messages after which NATS deletes it.
    """
    if await has_router(broker, stream):
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
            inactive_threshold=unused,
        ),
    )


async def capture(broker: Broker, subjects: tuple[str, ...]) -> tuple[str, ...]:
    """Adds subjects to the events log; returns all captured subjects. Raises ProvisionError."""
    current = await existing(broker, EVENTS)
    if current is None:
        raise ProvisionError(f"the stream {EVENTS} was deleted")
    merged = merge_captured(tuple(current.subjects or ()), subjects)
    if merged != tuple(current.subjects or ()):
        current.subjects = list(merged)
        await ensure(broker, current)
    return merged


async def ensure(broker: Broker, config: StreamConfig) -> None:
    """Creates a stream, or updates its configuration. Raises ProvisionError.

    If ``config`` names no number of replicas, the broker's applies, else the stream's present one.
    """
    assert config.name
    try:
        former = await existing(broker, config.name)
        if config.num_replicas is None:
            present = None if former is None else former.num_replicas
            config.num_replicas = broker.replicas or present
        if former is None:
            config.first_seq = broker.known_sequences.first_of_new(config.name)
            await broker.js.add_stream(config)
        elif config.num_replicas in (None, former.num_replicas):
            await broker.js.update_stream(config)
        else:
            await _rescale(broker, config)
    except APIError as error:
        if error.err_code == OVERLAP:
            overlap = await describe_overlap(broker, config)
            if overlap:
                raise ProvisionError(overlap) from None
        raise ProvisionError(
            f"NATS refuses the stream {config.name}: {error.description} ({error.err_code})"
        ) from None


async def ensure_same(broker: Broker, config: StreamConfig) -> None:
    """As :func:`ensure`, and leaves a stream alone that is as it should be: where a user may not
    update a stream for compliance, the gateway still starts. Raises ProvisionError."""
    assert config.name
    former = await existing(broker, config.name)
    if former is None or not _is_same(former, config, broker.replicas):
        await ensure(broker, config)


_LIMITS = ("max_age", "max_msgs", "max_bytes")  # nothing, zero and -1 are no limit


def _is_same(former: StreamConfig, config: StreamConfig, replicas: int | None) -> bool:
    wanted, present = config.as_dict(), former.as_dict()
    del wanted["duplicate_window"]  # that of the server, if none is named
    if config.num_replicas is None and replicas is not None:
        wanted["num_replicas"] = replicas
    for name in _LIMITS:
        for settings in (wanted, present):
            limit = settings.get(name)
            settings[name] = limit if isinstance(limit, int) and limit > 0 else 0
    return all(
        present.get(name) == value or (not present.get(name) and not value)
        for name, value in wanted.items()
        if value is not None
    )


async def _rescale(broker: Broker, config: StreamConfig) -> None:
    """Changes a stream's number of replicas, and waits until its servers have elected a leader.

    Until then the stream does not respond. Raises TimeoutError after RESCALE_TIMEOUT seconds.
    """
    assert config.name
    async with asyncio.timeout(RESCALE_TIMEOUT):
        while True:
            with contextlib.suppress(NatsTimeout, TimeoutError, ServiceUnavailableError):
                await broker.js.update_stream(config)
                info = await broker.js.stream_info(config.name)
                if info.cluster is not None and info.cluster.leader:
                    await broker.js.consumers_info(config.name)
                    return
            await asyncio.sleep(0.5)


def has_leader(info: StreamInfo) -> bool:
    """Whether a server answers for a stream. Where none does, NATS describes it as empty."""
    return info.cluster is None or bool(info.cluster.leader)


async def existing(broker: Broker, name: str) -> StreamConfig | None:
    """The configuration of a stream; None if the stream does not exist."""
    try:
        return (await broker.js.stream_info(name)).config
    except NotFoundError:
        return None
