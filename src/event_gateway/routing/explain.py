"""Why an event does not match a webhook: the first condition that is false."""

from typing import Any, assert_never

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression
from event_gateway.core.matching.filter import Filter, SqlFilter, compile_filter
from event_gateway.core.matching.path import path_of
from event_gateway.core.matching.pattern import takes
from event_gateway.core.matching.selection import Condition, conditions
from event_gateway.core.matching.sql_condition import SqlCondition
from event_gateway.core.webhook.webhook import Webhook

MAX_SHOWN = 120  # characters of a value
MAX_NAMED = 3  # attributes of a condition


class FailedCondition(msgspec.Struct):
    """A condition that is false: its key in the webhook, and the reason."""

    condition: str
    detail: str


def explain(webhook: Webhook, received: Received) -> FailedCondition | None:
    """The first condition of a webhook that does not hold of an event; None where all do.

    ``events`` is first, then the conditions in the order of :class:`Selection`. A condition that
    cannot be evaluated, as an earlier version of the gateway may have stored it, does not hold.
    """
    event_type = received.event.type
    if not any(takes(pattern, event_type) for pattern in webhook.events):
        return FailedCondition("events", f"no pattern fits the type {_short(event_type)}")
    key = "filters"
    try:
        for key, condition in conditions(webhook):
            if (failed := _failed(condition, key, received)) is not None:
                return failed
    except InvalidDefinition as problem:
        return FailedCondition(problem.key, f"cannot be evaluated: {problem.detail}")
    except Exception as error:
        return FailedCondition(
            key, f"cannot be evaluated: {type(error).__name__}: {error}"[:MAX_SHOWN]
        )
    return None


def _failed(condition: Condition, key: str, received: Received) -> FailedCondition | None:
    if isinstance(condition, Filter):
        if not compile_filter(condition)(received):
            return _failed_filter(condition, key, received)
    elif isinstance(condition, CelExpression):
        try:
            if not condition.holds(received):
                return FailedCondition(key, "is false")
        except EvaluationError as error:
            return FailedCondition(key, f"comes to no value: {error}")
    else:
        assert_never(condition)
    return None


def _failed_filter(condition: Filter, key: str, received: Received) -> FailedCondition:
    if isinstance(condition, SqlFilter):
        return _failed_sql(condition.condition, key, received)
    if condition.all is not None:
        for position, part in enumerate(condition.all):
            if not compile_filter(part)(received):
                return _failed_filter(part, f"{key}.all[{position}]", received)
    if condition.any is not None:
        return FailedCondition(key, f"none of its {len(condition.any)} filters holds")
    if condition.not_ is not None:
        return FailedCondition(key, "the filter holds which must not")
    values = path_of(condition.field).values(received)
    if not values:
        actual = "is not there"
    elif len(values) == 1:
        actual = f"is {_short(values[0])}"
    else:
        actual = f"has {len(values)} values, {_short(values[0])} the first"
    value = "" if condition.value is msgspec.UNSET else f" {_short(condition.value)}"
    return FailedCondition(key, f"{condition.field} {actual}; wanted: {condition.operator}{value}")


def _failed_sql(condition: SqlCondition, key: str, received: Received) -> FailedCondition:
    """The first of the conditions that AND combines, and the values of its attributes."""
    failing = condition.failing(received)
    if failing is None:  # what all of them cost together is the reason
        return FailedCondition(key, "comes to no value")
    part, error = failing
    text = str(part)
    text = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
    if error is not None:
        return FailedCondition(key, f"{text} comes to no value: {error}")
    values = [
        f"{name} is {_short(value)}"
        for name in sorted(part.attributes)[:MAX_NAMED]
        if (value := received.event.attribute(name)) is not None
    ]
    return FailedCondition(key, "; ".join([f"{text} is false", *values]))


def _short(value: Any) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):  # a lone surrogate, or too deep
        text = ascii(value)[:MAX_SHOWN]
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
