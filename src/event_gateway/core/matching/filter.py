"""Filters: conditions on an event's attributes and on paths into its data, alone or in groups."""

from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.operators import (
    ALL_OPERATORS,
    MAX_LIST,
    MAX_TEXT,
    NEGATED,
    OPERATORS,
    attribute_test,
)
from event_gateway.core.matching.path import Path, parse_path, path_of
from event_gateway.core.matching.sql_condition import SqlCondition
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


class SqlFilter(Filter, frozen=True, kw_only=True):
    """A filter in CESQL: the dialect ``sql`` of CloudEvents filters. No JSON is read as one."""

    condition: SqlCondition


def compile_filter(condition: Filter) -> Predicate:
    """A function that tells whether an event passes the filter.

    A missing field passes only ``not_equals`` and ``not_in``. Of a path with ``[*]`` any value may
    pass; with ``not_equals`` and ``not_in`` every value must. A filter in CESQL that has no value
    does not pass, and leaves its error in ``Received.fault``. Raises ValueError where the operator
    does not accept the value.
    """
    if isinstance(condition, SqlFilter):
        return _compile_sql(condition.condition)
    if condition.all is not None:
        every = [compile_filter(part) for part in condition.all]
        return lambda received: all(passes(received) for passes in every)
    if condition.any is not None:
        alternatives = [compile_filter(part) for part in condition.any]
        return lambda received: any(passes(received) for passes in alternatives)
    if condition.not_ is not None:
        inner = compile_filter(condition.not_)
        return lambda received: not inner(received)
    path = path_of(condition.field)
    if condition.operator == "exists":
        expected = condition.value is not False
        return lambda received: _exists(path, received) is expected
    negated = condition.operator in NEGATED
    operator = NEGATED.get(condition.operator, condition.operator)
    if path.attribute is not None:
        test = attribute_test(operator, condition.value)
    else:
        test = OPERATORS[operator](condition.value)
    if path.many:
        return lambda received: any(map(test, path.values(received))) is not negated
    value = path.value

    def passes(received: Received) -> bool:
        actual = value(received)
        if actual is msgspec.UNSET:
            return negated
        return test(actual) is not negated

    return passes


def _compile_sql(condition: SqlCondition) -> Predicate:
    holds = condition.holds

    def passes(received: Received) -> bool:
        try:
            return holds(received)
        except EvaluationError as error:
            received.fault = error
            return False

    return passes


def _exists(path: Path, received: Received) -> bool:
    return bool(path.values(received)) if path.many else path.value(received) is not msgspec.UNSET


def check_filter(condition: Filter, key: str, depth: int = 0) -> int:
    """The number of conditions in a filter. Raises InvalidDefinition, with a key below ``key``,
    where it cannot be compiled."""
    if isinstance(condition, SqlFilter):
        return 1
    parts_by_name = {"all": condition.all, "any": condition.any, "not": condition.not_}
    groups = [name for name, part in parts_by_name.items() if part is not None]
    if groups:
        if len(groups) > 1 or condition.field or condition.operator:
            raise InvalidDefinition(key, "must be either a condition or one of all, any and not")
        if depth >= MAX_DEPTH:
            raise InvalidDefinition(key, f"groups are nested more than {MAX_DEPTH} deep")
        if condition.not_ is not None:
            return check_filter(condition.not_, f"{key}.not", depth + 1)
        parts = condition.group or ()
        if not parts:
            raise InvalidDefinition(f"{key}.{groups[0]}", "contains no filter")
        return sum(
            check_filter(part, f"{key}.{groups[0]}[{position}]", depth + 1)
            for position, part in enumerate(parts)
        )
    parse_path(condition.field, f"{key}.field")
    if condition.operator not in ALL_OPERATORS:
        raise InvalidDefinition(
            f"{key}.operator",
            f"{condition.operator!r} is unknown; there are: {', '.join(ALL_OPERATORS)}",
        )
    if condition.operator == "exists":
        if not isinstance(condition.value, (bool, type(None), msgspec.UnsetType)):
            raise InvalidDefinition(f"{key}.value", "exists takes true or false")
        return 1
    if condition.value is msgspec.UNSET:
        raise InvalidDefinition(f"{key}.value", f"{condition.operator} needs a value")
    _check_size(condition.value, f"{key}.value")
    try:
        compile_filter(condition)
    except ValueError as error:
        raise InvalidDefinition(f"{key}.value", f"{condition.operator} {error}") from None
    return 1


def _check_size(value: Any, key: str, depth: int = 0) -> None:
    if depth == 0:
        check_plain(value, key)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise InvalidDefinition(key, f"is longer than {MAX_TEXT} characters")
    if isinstance(value, (list, tuple, dict)):
        if len(value) > MAX_LIST:
            raise InvalidDefinition(key, f"has {len(value)} values; at most {MAX_LIST} allowed")
        if depth >= MAX_DEPTH:
            raise InvalidDefinition(key, f"is nested more than {MAX_DEPTH} deep")
        for part in value.values() if isinstance(value, dict) else value:
            _check_size(part, key, depth + 1)
