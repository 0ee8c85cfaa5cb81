"""Filters: conditions on an event's attributes and on paths into its data, alone or in groups."""

from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.operators import (
    ALL_OPERATORS,
    MAX_TEXT,
    NEGATED,
    OPERATORS,
    attribute_test,
)
from event_gateway.core.matching.path import Path, parse_path, path_of
from event_gateway.core.text.json_values import check_plain

MAX_DEPTH = 8  # of groups in groups

Predicate = Callable[[Received], bool]


class Filter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition: ``operator`` and ``value`` on the path ``field``. Or a group: ``all`` or ``any``
    of several filters, ``not`` for a single filter."""

    field: str = ""
    operator: str = ""
    value: Any = msgspec.UNSET
    all: tuple["Filter", ...] | None = None
    any: tuple["Filter", ...] | None = None
    not_: "Filter | None" = msgspec.field(name="not", default=None)

    @property
    def group(self) -> tuple["Filter", ...] | None:
        """The filters of a group; None for a condition."""
        if self.all is not None:
            return self.all
        if self.any is not None:
            return self.any
        return None if self.not_ is None else (self.not_,)


def compile_filter(one: Filter) -> Predicate:
    """A function that tells whether an event passes the filter.

    A missing field passes only ``not_equals`` and ``not_in``. Of a path with ``[*]`` any value may
    pass; with ``not_equals`` and ``not_in`` every value must. Raises ValueError where the operator
    does not accept the value.
    """
    if one.all is not None:
        every = [compile_filter(part) for part in one.all]
        return lambda received: all(passes(received) for passes in every)
    if one.any is not None:
        alternatives = [compile_filter(part) for part in one.any]
        return lambda received: any(passes(received) for passes in alternatives)
    if one.not_ is not None:
        inner = compile_filter(one.not_)
        return lambda received: not inner(received)
    path = path_of(one.field)
    if one.operator == "exists":
        expected = one.value is not False
        return lambda received: _exists(path, received) is expected
    negated = one.operator in NEGATED
    operator = NEGATED.get(one.operator, one.operator)
    if path.attribute is not None:
        test = attribute_test(operator, one.value)
    else:
        test = OPERATORS[operator](one.value)
    if path.many:
        return lambda received: any(map(test, path.values(received))) is not negated
    value = path.value

    def passes(received: Received) -> bool:
        given = value(received)
        if given is msgspec.UNSET:
            return negated
        return test(given) is not negated

    return passes


def _exists(path: Path, received: Received) -> bool:
    return bool(path.values(received)) if path.many else path.value(received) is not msgspec.UNSET


def check_filter(one: Filter, key: str, depth: int = 0) -> int:
    """The number of conditions in a filter. Raises InvalidDefinition, with a key below ``key``,
    where it cannot be compiled."""
    given = [name for name, part in (("all", one.all), ("any", one.any), ("not", one.not_))
             if part is not None]  # fmt: skip
    if given:
        if len(given) > 1 or one.field or one.operator:
            raise InvalidDefinition(key, "must be either a condition or one of all, any and not")
        if depth >= MAX_DEPTH:
            raise InvalidDefinition(key, f"groups are nested more than {MAX_DEPTH} deep")
        if one.not_ is not None:
            return check_filter(one.not_, f"{key}.not", depth + 1)
        parts = one.group or ()
        if not parts:
            raise InvalidDefinition(f"{key}.{given[0]}", "contains no filter")
        return sum(
            check_filter(part, f"{key}.{given[0]}[{position}]", depth + 1)
            for position, part in enumerate(parts)
        )
    parse_path(one.field, f"{key}.field")
    if one.operator not in ALL_OPERATORS:
        raise InvalidDefinition(
            f"{key}.operator", f"{one.operator!r} is unknown; there are: {', '.join(ALL_OPERATORS)}"
        )
    if one.operator == "exists":
        if not isinstance(one.value, (bool, type(None), msgspec.UnsetType)):
            raise InvalidDefinition(f"{key}.value", "exists takes true or false")
        return 1
    if one.value is msgspec.UNSET:
        raise InvalidDefinition(f"{key}.value", f"{one.operator} needs a value")
    _check_size(one.value, f"{key}.value")
    try:
        compile_filter(one)
    except ValueError as error:
        raise InvalidDefinition(f"{key}.value", f"{one.operator} {error}") from None
    return 1


def _check_size(value: Any, key: str, depth: int = 0) -> None:
    if depth == 0:
        check_plain(value, key)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidDefinition(key, f"is longer than {MAX_TEXT} characters")
    if isinstance(value, (list, tuple, dict)):
        if depth >= MAX_DEPTH:
            raise InvalidDefinition(key, f"is nested more than {MAX_DEPTH} deep")
        for part in value.values() if isinstance(value, dict) else value:
            _check_size(part, key, depth + 1)
