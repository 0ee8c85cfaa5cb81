"""Streams of others: those that are read as they are, and those that stand in the way."""

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
    """A stream of somebody else's that the gateway reads beside its own log."""

    name: str
    subjects: tuple[str, ...]
    direct: bool  # whether its messages can be got without asking its leader
    max_age: float  # seconds for which it keeps them; 0: for ever

    def holds(self, subject: str) -> bool:
        """Whether it captures some subject that fits a pattern."""
        return any(overlaps(own, subject) for own in self.subjects)


async def open_streams(
    broker: Broker, names: Sequence[str], longest_wait: float
) -> list[ExternalStream]:
    """The streams of ``ingest.streams``; each must keep an event for ``longest_wait`` seconds.

    Raises ServerRefused where one could lose an event that still waits for its delivery.
    """
    out = []
    for name in names:
        try:
            config = (await broker.js.stream_info(name)).config
        except NotFoundError:
            raise ServerRefused(f"ingest.streams: NATS has no stream {name}") from None
        wrong = _unfit(config, longest_wait)
        if wrong:
            raise ServerRefused(f"ingest.streams: the stream {name} {wrong}")
        subjects, age = tuple(config.subjects or ()), float(config.max_age or 0)
        out.append(ExternalStream(name, subjects, bool(config.allow_direct), age))
    return out


def _unfit(config: StreamConfig, longest_wait: float) -> str | None:
    if (config.name or "").startswith(("GATEWAY_", "KV_GATEWAY_")):
        return "is the gateway's own"
    if config.retention not in (None, RetentionPolicy.LIMITS):
        kind = RetentionPolicy(config.retention).value
        return f"has {kind} retention: it drops what others have read; it must be limits"
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
            f"drops its oldest events at {', '.join(bounded)}, which may still wait for their "
            "delivery; give it discard: new, or no such limit"
        )
    if config.max_age and config.max_age < longest_wait:
        return (
            f"keeps its events for {format_duration(config.max_age)}, less than the "
            f"{format_duration(longest_wait)} for which a delivery may wait: raise its max_age or "
            "lower ingest.retention"
        )
    return None


async def in_the_way(broker: Broker, config: StreamConfig) -> str | None:
    """Which streams capture subjects that one of the gateway's wants, and the two ways out."""
    wanted = config.subjects or []
    for info in await broker.js.streams_info():
        other = info.config
        if other.name == config.name:
            continue
        both = [
            (theirs, mine)
            for theirs in other.subjects or []
            for mine in wanted
            if overlaps(theirs, mine)
        ]
        if both:
            theirs, mine = both[0]
            return (
                f"the stream {other.name} captures {theirs} already, which the gateway wants with "
                f"{mine}: either list ingest.subjects without it, or have that stream read "
                f"instead, with ingest.streams: [{other.name}]"
            )
    return None
