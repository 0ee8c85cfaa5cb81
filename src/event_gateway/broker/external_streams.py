"""Streams that the gateway does not own: external streams that it reads, and overlapping ones."""

from collections.abc import Sequence
from dataclasses import dataclass

from nats.js.api import DiscardPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.core.errors import ServerRefused
from event_gateway.core.matching.pattern import overlaps
from event_gateway.core.text.units import format_duration


@dataclass(frozen=True, slots=True)
class ExternalStream:
    """A stream of ``ingest.streams``, which the gateway reads beside its own log."""

    name: str
    subjects: tuple[str, ...]
    direct: bool  # whether the stream allows direct gets
    max_age: float  # seconds for which the stream stores messages; 0: without a limit

    def overlaps(self, pattern: str) -> bool:
        """Whether the stream captures a subject that matches the pattern."""
        return any(overlaps(subject, pattern) for subject in self.subjects)


async def open_streams(
    broker: Broker, names: Sequence[str], longest_wait: float
) -> list[ExternalStream]:
    """Looks up the streams of ``ingest.streams``.

    Raises ServerRefused if a stream does not exist, or could drop an event before ``longest_wait``
    seconds, the longest time for which a delivery of the event can be pending.
    """
    streams = []
    for name in names:
        try:
            config = (await broker.js.stream_info(name)).config
        except NotFoundError:
            raise ServerRefused(f"ingest.streams: NATS has no stream {name}") from None
        problem = _problem(config, longest_wait)
        if problem:
            raise ServerRefused(f"ingest.streams: the stream {name} {problem}")
        subjects, age = tuple(config.subjects or ()), float(config.max_age or 0)
        streams.append(ExternalStream(name, subjects, bool(config.allow_direct), age))
    return streams


def _problem(config: StreamConfig, longest_wait: float) -> str | None:
    if (config.name or "").startswith(("GATEWAY_", "KV_GATEWAY_")):
        return "belongs to the gateway"
    if config.retention not in (None, RetentionPolicy.LIMITS):
        kind = RetentionPolicy(config.retention).value
        return f"has {kind} retention, which drops messages early; it must have limits retention"
    bounded = [
        f"{key} {value}"
        for key, value in (
            ("max_msgs", config.max_msgs), ("max_bytes", config.max_bytes),
            ("max_msgs_per_subject", config.max_msgs_per_subject),
        )
        if value is not None and value > 0
    ]  # fmt: skip
    if bounded and config.discard in (None, DiscardPolicy.OLD):
        return (
            f"drops its oldest events at {', '.join(bounded)}, although their deliveries may be "
            "pending; set discard: new, or remove the limit"
        )
    if config.max_age and config.max_age < longest_wait:
        return (
            f"keeps its events for {format_duration(config.max_age)}, less than the "
            f"{format_duration(longest_wait)} for which a delivery can be pending: raise its "
            "max_age or lower ingest.retention"
        )
    return None


async def describe_overlap(broker: Broker, config: StreamConfig) -> str | None:
    """Finds a stream that captures a subject of ``config`` already.

    Returns a message that names both subjects and the two remedies; None if no stream overlaps.
    """
    needed = config.subjects or []
    for info in await broker.js.streams_info():
        other = info.config
        if other.name == config.name:
            continue
        pairs = [
            (theirs, ours)
            for theirs in other.subjects or []
            for ours in needed
            if overlaps(theirs, ours)
        ]
        if pairs:
            theirs, ours = pairs[0]
            return (
                f"the stream {other.name} captures {theirs} already, which overlaps with {ours} of "
                f"the gateway: list ingest.subjects without {ours}, or let the gateway read that "
                f"stream, with ingest.streams: [{other.name}]"
            )
    return None
