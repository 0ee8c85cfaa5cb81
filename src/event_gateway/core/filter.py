"""Filters: conditions on an event's attributes and on paths into its data."""

from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.event import CORE_ATTRIBUTES, Received


class Filter(msgspec.Struct, frozen=True):
    """One condition: ``field`` is an attribute, an extension or ``data.a.b``."""

    field: str
    operator: str
    value: Any = None


Predicate = Callable[[Received], bool]


def same(one: Any, other: Any) -> bool:
    """JSON equality: ``true`` is not 1, ``1`` is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _equals(given: Any, wanted: Any) -> bool:
    return same(given, wanted)


def _in(given: Any, wanted: Any) -> bool:
    return any(same(given, one) for one in wanted)


# Each takes what the event has and what the filter names. A missing field never reaches them.
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "in": _in,
    "prefix": lambda given, wanted: isinstance(given, str) and given.startswith(wanted),
    "suffix": lambda given, wanted: isinstance(given, str) and given.endswith(wanted),
    "contains": lambda given, wanted: (
        wanted in given
        if isinstance(given, str) and isinstance(wanted, str)
        else isinstance(given, list) and _in(wanted, given)
    ),
}
NEGATED = {"not_equals": "equals", "not_in": "in"}
ALL_OPERATORS = (*OPERATORS, *NEGATED, "exists")


def compile_filter(one: Filter) -> Predicate:
    """A function that tells whether an event passes. A missing field fails, ``not_*`` passes."""
    field, wanted = one.field, one.value
    if one.operator == "exists":
        expected = wanted is not False
        return lambda received: (received.field(field) is not msgspec.UNSET) is expected
    negated = one.operator in NEGATED
    test = OPERATORS[NEGATED.get(one.operator, one.operator)]

    def passes(received: Received) -> bool:
        given = received.field(field)
        if given is msgspec.UNSET:
            return negated
        return test(given, wanted) is not negated

    return passes


def check_path(path: str, key: str) -> None:
    """Raises InvalidDefinition, naming that key, where a path leads to nothing in any event."""
    if not path or ".." in path or path.startswith(".") or path.endswith("."):
        raise InvalidDefinition(key, f"{path!r} is no path")
    if "." in path and path.partition(".")[0] != "data":
        raise InvalidDefinition(
            key,
            f"{path!r}: a field is an attribute ({', '.join(sorted(CORE_ATTRIBUTES))}), "
            "an extension, or begins with 'data.'",
        )


def check_filter(one: Filter, key: str) -> None:
    """Raises InvalidDefinition where the filter can't be compiled."""
    check_path(one.field, f"{key}.field")
    if one.operator not in ALL_OPERATORS:
        raise InvalidDefinition(
            f"{key}.operator", f"{one.operator!r} is unknown; there are: {', '.join(ALL_OPERATORS)}"
        )
    if one.operator in ("in", "not_in") and not isinstance(one.value, (list, tuple)):
        raise InvalidDefinition(f"{key}.value", f"{one.operator} takes a list of values")
    if one.operator in ("prefix", "suffix") and not isinstance(one.value, str):
        raise InvalidDefinition(f"{key}.value", f"{one.operator} takes a string")
    if one.operator == "exists" and not isinstance(one.value, (bool, type(None))):
        raise InvalidDefinition(f"{key}.value", "exists takes true or false")
