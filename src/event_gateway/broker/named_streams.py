"""The JetStream streams behind named streams: made, changed without a hole or a copy, deleted."""

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
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
from event_gateway.broker.provision import LIFECYCLE, ensure, existing
from event_gateway.broker.stream_page import read_page
from event_gateway.core.streams.definition import EVENTS, StreamContents, StreamDefinition

_PREFIX = "GATEWAY_STREAM_"
SOURCE_HEADER = "Nats-Stream-Source"
LOOK_BACK = 1000  # messages at the end of a stream among which the last of a source is looked for
MARK = "events.eg.from."  # a subject on which nothing is published
MINUTE = 60.0
MARGIN = 5.0  # seconds: what an empty stream is given again when its subjects change


class UnknownStream(Exception):
    """JetStream has no stream of that name."""


def stream_name(name: str) -> str:
    """The JetStream stream behind a named stream."""
    return f"{_PREFIX}{name}"


def is_named(source: str) -> bool:
    """Whether a JetStream stream is the one behind a named stream."""
    return source.startswith(_PREFIX)


async def ensure_named(
    broker: Broker, definition: StreamDefinition, external: Sequence[ExternalStream] = ()
) -> bool:
    """Makes a named stream, or applies its definition; True where it is new.

    The log is one source, with a transform for each subject, so that its order is kept; each
    stream of ``external`` that holds some of the subjects is another. Other subjects hold from
    where the former ones ended. Raises ProvisionError where JetStream refuses it.
    """
    name = stream_name(definition.name)
    sources = _sources(definition, external)
    former = await existing(broker, name)
    if former is not None:
        sources = await _continued(broker, former, sources)
    await ensure(
        broker,
        StreamConfig(
            name=name,
            description=f"event gateway stream {definition.name}",
            sources=sources,
            storage=StorageType.FILE,
            compression=StoreCompression(definition.compression),
            num_replicas=definition.replicas,
            max_age=definition.retention,
            max_msgs=definition.max_messages or -1,
            max_bytes=definition.max_bytes or -1,
            discard=DiscardPolicy.OLD,
            deny_delete=definition.compliance,
            deny_purge=definition.compliance,
            allow_direct=True,
        ),
    )
    return former is None


async def drop_named(broker: Broker, name: str) -> None:
    """Deletes a named stream with its messages; one that is not there is fine."""
    with contextlib.suppress(NotFoundError):
        await broker.js.delete_stream(stream_name(name))


def copied_from(headers: Mapping[str, str] | None) -> tuple[str, int] | None:
    """Where a message of a named stream was copied from: stream and sequence."""
    parts = (headers or {}).get(SOURCE_HEADER, "").split(" ")
    return (parts[0].split(":")[0], int(parts[1])) if len(parts) > 1 else None


async def bounds(broker: Broker, source: str) -> tuple[int, int]:
    """The first and the last sequence of a JetStream stream; of an empty one the first is behind.

    Raises UnknownStream, and what BrokerError names.
    """
    try:
        state = (await broker.js.stream_info(source)).state
    except NotFoundError:
        raise UnknownStream(source) from None
    return max(state.first_seq, 1), state.last_seq


async def held(broker: Broker, name: str) -> StreamContents:
    """What a named stream holds; nothing where it is not there."""
    try:
        state = (await broker.js.stream_info(stream_name(name))).state
    except NotFoundError:
        return StreamContents()
    first_time = None
    if state.messages:
        with contextlib.suppress(NotFoundError):  # dropped just now
            first = await broker.js.get_msg(stream_name(name), seq=state.first_seq, direct=True)
            first_time = first.time.timestamp() if first.time else None
    return StreamContents(state.messages, state.bytes, state.first_seq, state.last_seq, first_time)


async def rate_of(broker: Broker, name: str) -> float:
    """How many messages a second a named stream got over the last minute; 0 where it is not there.

    Raises what BrokerError names.
    """
    reader = f"rate-{secrets.token_hex(6)}"
    config = ConsumerConfig(
        name=reader, ack_policy=AckPolicy.NONE, inactive_threshold=MINUTE, mem_storage=True,
        num_replicas=1, deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=datetime.fromtimestamp(time.time() - MINUTE, UTC),
    )  # fmt: skip
    try:
        pending = (await broker.js.add_consumer(stream_name(name), config)).num_pending or 0
        await broker.js.delete_consumer(stream_name(name), reader)
    except NotFoundError:
        return 0.0
    return round(pending / MINUTE, 3)


def _sources(
    definition: StreamDefinition, external: Sequence[ExternalStream]
) -> list[StreamSource]:
    of_lifecycle = definition.of_lifecycle
    own = StreamSource(
        name=LIFECYCLE if of_lifecycle else EVENTS,
        subject_transforms=_transforms(definition.subjects, not of_lifecycle),
    )
    others = [
        StreamSource(
            name=stream.name,
            subject_transforms=_transforms(
                tuple(one for one in definition.subjects if stream.holds(one)), False
            ),
        )
        for stream in external
        if any(stream.holds(one) for one in definition.subjects)
    ]
    return [own, *others]


def _transforms(subjects: tuple[str, ...], by_type: bool) -> list[SubjectTransform]:
    out = []
    for subject in subjects:
        tokens = subject.split(".")
        wildcards = 0
        target = []
        for token in tokens:
            if token == "*":
                wildcards += 1
                token = f"{{{{wildcard({wildcards})}}}}"  # a bare * is refused as destination
            target.append(token)
        out.append(SubjectTransform(src=subject, dest=".".join(target)))
        if by_type and tokens[0] != "events":
            # What came over HTTP with a type whose subject nothing else captures.
            out.append(SubjectTransform(src=f"events.{subject}", dest=".".join(target)))
    return out


async def _continued(
    broker: Broker, former: StreamConfig, wanted: list[StreamSource]
) -> list[StreamSource]:
    """The wanted sources, each beginning where the stream's copy of it ends.

    To JetStream a source with other transforms is another one, which it copies from the beginning,
    and one with transforms that it had before is that one again. So copying stops, the last message
    tells how far it came, and the new source begins there, with a mark that no other one has.
    """
    before = {source.name: source for source in former.sources or ()}
    out = []
    changed = []
    for source in wanted:
        known = before.get(source.name)
        if known is not None and _subjects(known) == _subjects(source):
            out.append(known)  # with the place where it once began
        else:
            out.append(source)
            changed.append(source)
    if not changed:
        return out
    if any(source.name in before for source in changed):
        former.sources = []
        await ensure(broker, former)
    assert former.name
    last = (await broker.js.stream_info(former.name)).state.last_seq
    begin = max(1, last - LOOK_BACK + 1)
    copied = (await read_page(broker, former.name, from_seq=begin, limit=LOOK_BACK)).messages
    reached = dict(place for one in copied if (place := copied_from(one.headers)))
    # What was copied earlier than all that was looked at came before this time.
    since = copied[0].time if len(copied) == LOOK_BACK else time.time() - MARGIN
    for source in changed:
        if source.name in reached:
            source.opt_start_seq = reached[source.name] + 1
            _mark(source, source.opt_start_seq)
        elif source.name in before or not before:
            source.opt_start_time = datetime.fromtimestamp(since, UTC)
            _mark(source, round(since * 1000))
    return out


def _mark(source: StreamSource, start: int) -> None:
    assert source.subject_transforms is not None
    source.subject_transforms.append(SubjectTransform(src=f"{MARK}{start}", dest=f"{MARK}{start}"))


def _subjects(source: StreamSource) -> list[SubjectTransform]:
    return [one for one in source.subject_transforms or () if not one.src.startswith(MARK)]
