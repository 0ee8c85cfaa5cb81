"""The JetStream streams behind named streams: creates, changes and deletes them.

A change of subjects neither skips a message nor copies one twice.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from nats.js.api import (
    DiscardPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
    StreamSource,
    SubjectTransform,
)
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.external_streams import ExternalStream
from event_gateway.broker.provision import ensure, ensure_same, existing
from event_gateway.broker.reading_consumers import ASKED_ONCE, asked_once, reading
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.type_subject import log_subjects, spellings
from event_gateway.core.streams.definition import (
    EVENTS,
    LIFECYCLE,
    StreamContents,
    StreamDefinition,
)

_PREFIX = "GATEWAY_STREAM_"
SOURCE_HEADER = "Nats-Stream-Source"
SOURCE = "Eg-Source"  # the same in a sealed copy, whose writer may not set the header of NATS
SEALED_SUBJECT = "eg.sealed"  # below it the gateway writes sealed copies
LOOK_BACK = 1000  # messages at the end of a stream that are searched for the last one of a source
MARKER_SUBJECT = "events.eg.from."  # a subject on which nothing is published
MINUTE = 60.0  # seconds
MARGIN = 5.0  # seconds of events that an empty stream gets again when its subjects change


class UnknownStream(Exception):
    """JetStream has no stream of this name."""


def stream_name(name: str) -> str:
    """The JetStream stream behind a named stream."""
    return f"{_PREFIX}{name}"


def is_named(source: str) -> bool:
    """Whether a JetStream stream is behind a named stream."""
    return source.startswith(_PREFIX)


async def ensure_named(
    broker: Broker, definition: StreamDefinition, external: Sequence[ExternalStream] = ()
) -> bool:
    """Creates a named stream, or updates it to its definition. Returns True if it is new.

    The log is a single source with one subject transform for each subject, so that the stream has
    the order of the log. Each external stream that captures one of the subjects is a further
    source. If the subjects change, the stream continues with the new subjects at the position that
    it has reached in each source. Raises ProvisionError if JetStream refuses the stream.
    """
    name = stream_name(definition.name)
    sources = _sources(definition, external)
    former = await existing(broker, name)
    is_sealed = definition.sealed_by is not None
    inbox = f"{SEALED_SUBJECT}.{definition.name}.>"
    if is_sealed:
        sources = []
    elif former is not None:
        sources = await _resumed(broker, former, sources)
    limits = definition.limits
    await ensure_same(
        broker,
        StreamConfig(
            name=name,
            description=f"event gateway stream {definition.name}",
            sources=sources or None,
            subjects=[inbox] if is_sealed else None,
            subject_transform=SubjectTransform(src=inbox, dest=">") if is_sealed else None,
            storage=StorageType.FILE,
            compression=StoreCompression(definition.compression),
            num_replicas=definition.replicas,
            max_age=limits.retention,
            max_msgs=limits.max_messages or -1,
            max_bytes=limits.max_bytes or -1,
            discard=DiscardPolicy.OLD,
            deny_delete=definition.compliance,
            deny_purge=definition.compliance,
            allow_direct=True,
        ),
    )
    return former is None


async def restart_source(broker: Broker, name: str, source: str, from_seq: int) -> None:
    """Has a named stream copy one of its sources from a sequence on, in place of where it is.

    Does nothing if the stream does not exist, or has no such source. Raises ProvisionError, and the
    exceptions in BrokerError.
    """
    config = await existing(broker, stream_name(name))
    if config is None:
        return
    sources = list(config.sources or ())
    for position, former in enumerate(sources):
        if former.name == source:
            sources[position] = StreamSource(
                name=source, subject_transforms=_subjects(former), opt_start_seq=from_seq
            )
            _add_marker(sources[position], time.time_ns())  # else JetStream goes on where it is
            config.sources = sources
            await ensure(broker, config)


async def reattach_sources(
    broker: Broker, stream: str, sources: Sequence[StreamSource], last_at: float
) -> None:
    """Gives a restored JetStream stream, which has none, its sources again: each continues behind
    the last message that came from it, whatever the server knows of the source. ``last_at``: when
    the stream got its last message (Unix time), which may have expired.

    Raises ProvisionError, and the exceptions in BrokerError.
    """
    info = await broker.js.stream_info(stream)
    config, last = info.config, info.state.last_seq
    copied = (
        await read_page(
            broker, stream, from_seq=max(1, last - LOOK_BACK + 1), limit=LOOK_BACK
        )
    ).messages  # fmt: skip
    reached = dict(
        position for message in copied if (position := copied_from(message.headers)) is not None
    )
    for source in sources:
        if source.name in reached:
            start = reached[source.name] + 1
            source.opt_start_seq, source.opt_start_time = start, None
        elif last:
            start = time.time_ns()
            began = datetime.fromtimestamp(copied[0].time if copied else last_at, UTC)
            source.opt_start_seq, source.opt_start_time = None, began
        else:
            continue  # nothing has come from it yet
        source.subject_transforms = _subjects(source)
        _add_marker(source, start)
    config.sources = list(sources)
    await ensure(broker, config)


async def delete_named(broker: Broker, name: str) -> None:
    """Deletes a named stream with its messages, if it exists."""
    with contextlib.suppress(NotFoundError):
        await broker.js.delete_stream(stream_name(name))


def copied_from(headers: Mapping[str, str] | None) -> tuple[str, int] | None:
    """The stream and sequence from which a message of a named stream was copied."""
    present = headers or {}
    parts = (present.get(SOURCE_HEADER) or present.get(SOURCE, "")).split(" ")
    return (parts[0].split(":")[0], int(parts[1])) if len(parts) > 1 else None


class Bounds(NamedTuple):
    """The first and the last sequence of a JetStream stream; in an empty stream the first one is
    higher than the last. ``begin``: the first sequence that it has ever had. A stream that was
    created again begins behind the sequences of the former one."""

    first: int
    last: int
    begin: int


async def bounds(broker: Broker, source: str) -> Bounds:
    """The bounds of a JetStream stream. Raises UnknownStream, and the exceptions in BrokerError."""
    try:
        info = await broker.js.stream_info(source)
    except NotFoundError:
        raise UnknownStream(source) from None
    state = info.state
    return Bounds(max(state.first_seq, 1), state.last_seq, max(info.config.first_seq or 1, 1))


async def seq_before(broker: Broker, source: str, at: float) -> int:
    """The last sequence of a JetStream stream that was stored before a time, in seconds since the
    epoch. Raises UnknownStream, and the exceptions in BrokerError."""
    consumer = reading("time", ASKED_ONCE, from_time=at)
    try:
        delivered = (await asked_once(broker, source, consumer)).delivered
    except NotFoundError:
        raise UnknownStream(source) from None
    return 0 if delivered is None else delivered.stream_seq


async def stream_contents(broker: Broker, name: str) -> StreamContents:
    """The contents of a named stream; empty contents if the stream does not exist."""
    try:
        state = (await broker.js.stream_info(stream_name(name))).state
    except NotFoundError:
        return StreamContents()
    first_time = None
    if state.messages:
        with contextlib.suppress(NotFoundError):  # deleted in between
            first = await broker.js.get_msg(stream_name(name), seq=state.first_seq, direct=True)
            first_time = first.time.timestamp() if first.time else None
    return StreamContents(state.messages, state.bytes, state.first_seq, state.last_seq, first_time)


def _sources(
    definition: StreamDefinition, external: Sequence[ExternalStream]
) -> list[StreamSource]:
    of_lifecycle = definition.of_lifecycle
    log = StreamSource(
        name=LIFECYCLE if of_lifecycle else EVENTS,
        subject_transforms=_transforms(definition.subjects, of_http=not of_lifecycle),
    )
    others = [
        StreamSource(
            name=stream.name,
            subject_transforms=_transforms(
                tuple(subject for subject in definition.subjects if _overlaps(stream, subject)),
                of_http=False,
            ),
        )
        for stream in external
        if any(_overlaps(stream, subject) for subject in definition.subjects)
    ]
    return [log, *others]


def _overlaps(stream: ExternalStream, pattern: str) -> bool:
    return any(stream.overlaps(subject) for subject in spellings(pattern))


def _transforms(subjects: tuple[str, ...], *, of_http: bool) -> list[SubjectTransform]:
    """``of_http``: also copies the events that came over HTTP and lie on ``events.<type>``."""
    transforms = []
    for pattern in subjects:
        wildcards = 0
        target = []
        for token in pattern.split("."):
            if token == "*":
                wildcards += 1
                token = f"{{{{wildcard({wildcards})}}}}"  # a bare * is refused as destination
            target.append(token)
        # In ASCII: NATS writes it into a header, and not every client reads others there.
        dest = next(text for text in spellings(".".join(target)) if text.isascii())
        for subject in log_subjects(pattern) if of_http else spellings(pattern):
            transforms.append(SubjectTransform(src=subject, dest=dest))
    return transforms


async def _resumed(
    broker: Broker, former: StreamConfig, required: list[StreamSource]
) -> list[StreamSource]:
    """Gives each required source the start position at which the stream has stopped copying it.

    JetStream identifies a source by its name and transforms: it copies a source with new transforms
    from the beginning, and continues a source that has former transforms again. So this function
    stops the copying, reads from the last messages which position was reached in each source, and
    starts the changed sources there, each with a marker transform that makes it unique.
    """
    before = {source.name: source for source in former.sources or ()}
    sources = []
    changed = []
    for source in required:
        known = before.get(source.name)
        if known is not None and _subjects(known) == _subjects(source):
            sources.append(known)  # with its original start position
        else:
            sources.append(source)
            changed.append(source)
    if not changed:
        return sources
    if any(source.name in before for source in changed):
        former.sources = []
        await ensure(broker, former)
    assert former.name
    last = (await broker.js.stream_info(former.name)).state.last_seq
    begin = max(1, last - LOOK_BACK + 1)
    copied = (await read_page(broker, former.name, from_seq=begin, limit=LOOK_BACK)).messages
    reached = dict(
        position for message in copied if (position := copied_from(message.headers)) is not None
    )
    # If a source has no message among those, its last message was copied before this time.
    since = copied[0].time if len(copied) == LOOK_BACK else time.time() - MARGIN
    for source in changed:
        if source.name in reached:
            source.opt_start_seq = reached[source.name] + 1
            _add_marker(source, source.opt_start_seq)
        elif source.name in before or not before:
            source.opt_start_time = datetime.fromtimestamp(since, UTC)
            _add_marker(source, round(since * 1000))
    return sources


def _add_marker(source: StreamSource, start: int) -> None:
    assert source.subject_transforms is not None
    subject = f"{MARKER_SUBJECT}{start}"
    source.subject_transforms.append(SubjectTransform(src=subject, dest=subject))


def _subjects(source: StreamSource) -> list[SubjectTransform]:
    return [
        transform
        for transform in source.subject_transforms or ()
        if not transform.src.startswith(MARKER_SUBJECT)
    ]
