"""A process' figures as bytes, and what those of several processes are together."""

from collections.abc import Iterable

import msgspec

from event_gateway.observability.metrics.families import BY_NAME
from event_gateway.observability.metrics.family import Combine, Kind
from event_gateway.observability.metrics.figures import Histogram, Labels, WebhookMetrics

FORMAT = 1


class Snapshot(msgspec.Struct):
    """All figures of a process at a moment. ``values``: counters and gauges by the name of their
    family; ``webhooks``: by label. ``includes``: names of ended processes that are added in."""

    values: dict[str, dict[Labels, float]] = {}
    webhooks: dict[str, WebhookMetrics] = {}
    includes: list[str] = []
    format: int = FORMAT


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Snapshot).decode


def decode(data: bytes) -> Snapshot | None:
    """The snapshot; None where the bytes are none of this version."""
    try:
        snapshot = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return snapshot if snapshot.format == FORMAT else None


def combined(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The figures of several processes together, each family as it declares."""
    total = Snapshot()
    for snapshot in snapshots:
        for name, values in snapshot.values.items():
            family = BY_NAME.get(name)
            if family is None:
                continue
            known = total.values.setdefault(name, {})
            adds = family.kind is Kind.COUNTER or family.combine is Combine.SUM
            for labels, value in values.items():
                if len(labels) != len(family.labels):
                    continue
                if adds:
                    known[labels] = _sum(known.get(labels, 0), value)
                elif labels not in known:
                    known[labels] = value
                elif family.combine is Combine.MIN:
                    known[labels] = min(known[labels], value)
                else:
                    known[labels] = max(known[labels], value)
        for label, webhook in snapshot.webhooks.items():
            _add_webhook(total.webhooks.setdefault(label, WebhookMetrics()), webhook)
    return total


def of_an_ended_process(snapshot: Snapshot) -> Snapshot:
    """What remains of the figures of a process that has ended: what it has counted."""
    counters = {
        name: values
        for name, values in snapshot.values.items()
        if name in BY_NAME and BY_NAME[name].kind is Kind.COUNTER
    }
    return Snapshot(counters, snapshot.webhooks)


def _add_webhook(total: WebhookMetrics, more: WebhookMetrics) -> None:
    for known, added in ((total.attempts, more.attempts), (total.outcomes, more.outcomes)):
        for name, number in added.items():
            known[name] = known.get(name, 0) + number
    total.expression_errors += more.expression_errors
    total.last_success = max(total.last_success, more.last_success)
    total.last_failure = max(total.last_failure, more.last_failure)
    _add_histogram(total.latency, more.latency)
    _add_histogram(total.duration, more.duration)


def _sum(first: float, other: float) -> float:
    """The sum in whole millionths, which is the same in whatever order processes are added: a sum
    that is smaller by the last digit would count as a restart from 0."""
    return (round(first * 1e6) + round(other * 1e6)) / 1e6


def _add_histogram(total: Histogram, more: Histogram) -> None:
    if len(total.counts) == len(more.counts):
        total.counts = [a + b for a, b in zip(total.counts, more.counts, strict=True)]
        total.sum = _sum(total.sum, more.sum)
        for index, exemplar in more.exemplars.items():
            known = total.exemplars.get(index)
            if known is None or known[1] < exemplar[1]:
                total.exemplars[index] = exemplar
