"""Why an event is for a webhook, or the first condition that keeps it away."""

from typing import Any, assert_never

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import EvaluationError, Expression
from event_gateway.core.matching.filter import Filter, compile_filter
from event_gateway.core.matching.path import path_of
from event_gateway.core.matching.pattern import matches
from event_gateway.core.matching.selection import conditions
from event_gateway.core.webhook.webhook import Webhook

MAX_SHOWN = 120  # characters of a value


class Failed(msgspec.Struct):
    """The condition that does not hold: its place in the webhook, and what stands there instead."""

    condition: str
    detail: str


def explain(webhook: Webhook, received: Received) -> Failed | None:
    """The first condition of a webhook that does not hold of an event; None where all do.

    ``events`` is first, then the conditions in the order of :class:`Selection`.
    """
    event_type = received.event.type
    if not any(matches(pattern, event_type) for pattern in webhook.events):
        return Failed("events", f"no pattern fits the type {_short(event_type)}")
    for key, condition in conditions(webhook):
        if isinstance(condition, Filter):
            if not compile_filter(condition)(received):
                return _failed_filter(condition, key, received)
        elif isinstance(condition, Expression):
            try:
                if not condition.holds(received):
                    return Failed(key, "is false")
            except EvaluationError as error:
                return Failed(key, f"comes to no value: {error}")
        else:
            assert_never(condition)
    return None


def _failed_filter(one: Filter, key: str, received: Received) -> Failed:
    if one.all is not None:
        for position, part in enumerate(one.all):
            if not compile_filter(part)(received):
                return _failed_filter(part, f"{key}.all[{position}]", received)
    if one.any is not None:
        return Failed(key, f"none of its {len(one.any)} filters holds")
    if one.not_ is not None:
        return Failed(key, "the filter holds which must not")
    values = path_of(one.field).values(received)
    if not values:
        there = "is not there"
    elif len(values) == 1:
        there = f"is {_short(values[0])}"
    else:
        there = f"has {len(values)} values, {_short(values[0])} the first"
    wanted = "" if one.value is msgspec.UNSET else f" {_short(one.value)}"
    return Failed(key, f"{one.field} {there}; wanted: {one.operator}{wanted}")


def _short(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):  # a lone surrogate, or too deep
        text = ascii(value)[:MAX_SHOWN]
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
