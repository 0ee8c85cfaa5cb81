"""Webhooks by their filters: webhooks whose filters an event cannot meet are not evaluated.

A tree of lookup tables: the values of equality filters are hashed, prefixes and suffixes are looked
up by their lengths, limits of numbers are sorted. Only the remaining filters are tested webhook by
webhook.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, assert_never

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import CelExpression
from event_gateway.core.matching.filter import Filter, Predicate, SqlFilter, compile_filter
from event_gateway.core.matching.operators import canonical
from event_gateway.core.matching.path import Path, path_of
from event_gateway.core.matching.selection import conditions, has_conditions
from event_gateway.core.matching.sql_condition import SqlCondition
from event_gateway.core.webhook.webhook import Webhook

MAX_STEPS = 3  # tables on the way to a webhook
MAX_LOCATIONS = 64  # of a webhook below one pattern

# The kinds of tables, the most selective first, and the kind for each operator.
EQUAL, PREFIX, SUFFIX, ABOVE, FROM, BELOW, TO = range(7)
_KINDS = {
    "equals": EQUAL, "in": EQUAL, "prefix": PREFIX, "suffix": SUFFIX,
    "gt": ABOVE, "gte": FROM, "lt": BELOW, "lte": TO,
}  # fmt: skip
_AFFIXES = (PREFIX, SUFFIX)
_LIMITS = (ABOVE, FROM, BELOW, TO)

Step = tuple[int, Path, Any]  # a table's kind, the field that it looks up, a key in it
_AT_THE_PATTERN: tuple[tuple[Step, ...], ...] = ((),)  # the location without a table


class TreeEntry(msgspec.Struct, gc=False):
    """A webhook, its locations in a tree, and the conditions that are left to test there.

    ``expressions`` are those whose verdict other webhooks may share.
    """

    webhook: Webhook
    locations: tuple[tuple[Step, ...], ...]
    conditions: tuple[Predicate, ...]
    expressions: tuple[CelExpression | SqlCondition, ...]


def entry_of(webhook: Webhook) -> TreeEntry:
    """The entry of a webhook whose definition is valid."""
    if not has_conditions(webhook):
        return TreeEntry(webhook, _AT_THE_PATTERN, (), ())
    filters: list[Filter] = []
    expressions: list[CelExpression | SqlCondition] = []
    for _, condition in conditions(webhook):
        if isinstance(condition, Filter):
            filters += _flat([condition])
        elif isinstance(condition, CelExpression):
            expressions.append(condition)
        else:
            assert_never(condition)
    conditions_in_sql = [each.condition for each in filters if isinstance(each, SqlFilter)]
    filters = [each for each in filters if not isinstance(each, SqlFilter)]
    tested = len(filters)
    for in_sql in conditions_in_sql:
        filters += _implied(in_sql)
    expressions = [*conditions_in_sql, *expressions]
    indexed = [
        (*step, position)
        for position, condition in enumerate(filters)
        if (step := _step(condition))
    ]
    # Few values select more than many. Sorting by path gives equal filters equal locations.
    indexed.sort(key=lambda step: (step[0], len(step[2]), step[1].text))
    locations = _AT_THE_PATTERN
    done = set()
    many = False
    for kind, path, values, position in indexed[:MAX_STEPS]:
        if len(locations) * len(values) > MAX_LOCATIONS or (many and path.many):
            break  # several paths with [*] would have to be looked up in all combinations
        many = many or path.many
        locations = tuple(
            (*location, (kind, path, value)) for location, value in product(locations, values)
        )
        done.add(position)
    rest = [filters[position] for position in range(tested) if position not in done]
    predicates = tuple(compile_filter(condition) for condition in rest)
    return TreeEntry(webhook, locations, predicates, tuple(expressions))


def _implied(condition: SqlCondition) -> Iterator[Filter]:
    """Filters that hold where a condition in CESQL does: they need not be tested beside it."""
    for name, values in condition.required:
        yield Filter(name, "equals", values[0]) if len(values) == 1 else Filter(name, "in", values)


def _flat(filters: Iterable[Filter]) -> Iterator[Filter]:
    for condition in filters:
        if condition.all is not None:
            yield from _flat(condition.all)
        else:
            yield condition


def _step(condition: Filter) -> tuple[int, Path, list[Any]] | None:
    """The table for a filter: its kind, the field, and the filter's values; None if no table can
    answer the filter."""
    kind = None if condition.group is not None else _KINDS.get(condition.operator)
    if kind is None:
        return None
    path = path_of(condition.field)
    values = list(condition.value) if condition.operator == "in" else [condition.value]
    if kind == EQUAL:
        if path.attribute is not None:
            values = [canonical(value) for value in values]
        if all(value is None or isinstance(value, (str, int, float)) for value in values):
            return kind, path, list({_key(value): None for value in values})
        return None
    if kind in _LIMITS and (path.attribute is not None or not _is_number(condition.value)):
        return None  # times and text are compared webhook by webhook
    return kind, path, values


class ConditionTree:
    """The webhooks below one pattern, or, as a subtree, below one key of a table."""

    __slots__ = ("entries", "tables")

    def __init__(self) -> None:
        self.entries = _NO_ENTRIES
        self.tables = _NO_TABLES

    @property
    def empty(self) -> bool:
        """Whether it has no webhooks."""
        return not self.entries and not self.tables

    def add(self, entry: TreeEntry) -> None:
        """Adds an entry at all its locations."""
        for location in entry.locations:
            tree = self
            for kind, path, value in location:
                table = tree.tables.get((kind, path))
                if table is None:
                    if tree.tables is _NO_TABLES:
                        tree.tables = {}
                    table = tree.tables[kind, path] = _LookupTable(kind, path)
                tree = table.subtree(value)
            if tree.entries is _NO_ENTRIES:
                tree.entries = {}
            tree.entries[entry.webhook.id] = entry

    def remove(self, entry: TreeEntry) -> None:
        """Removes an entry, and the tables that are empty without it."""
        for location in entry.locations:
            self._remove(entry.webhook.id, location)

    def _remove(self, webhook_id: str, location: tuple[Step, ...]) -> None:
        if not location:
            self.entries.pop(webhook_id, None)
            return
        kind, path, value = location[0]
        table = self.tables.get((kind, path))
        subtree = None if table is None else table.subtrees.get(value)
        if table is None or subtree is None:
            return
        subtree._remove(webhook_id, location[1:])
        if subtree.empty:
            table.drop(value)
            if not table.subtrees:
                del self.tables[kind, path]

    def collect(self, received: Received, entries: list[TreeEntry]) -> None:
        """Appends the entries that an event leads to; an entry may be appended several times."""
        if self.entries:
            entries.extend(self.entries.values())
        for table in self.tables.values():
            path = table.path
            if path.many:
                table.collect(path.values(received), received, entries)
            else:
                value = path.value(received)
                if value is not msgspec.UNSET:
                    table.collect((value,), received, entries)


class _LookupTable:
    """The subtrees by the values of one field, for one kind of comparison."""

    __slots__ = ("kind", "lengths", "limits", "path", "subtrees")

    def __init__(self, kind: int, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.subtrees: dict[Any, ConditionTree] = {}
        self.lengths: dict[int, int] = {}  # of the prefixes or suffixes: how many have it
        self.limits: list[Any] = []  # sorted

    def subtree(self, value: Any) -> ConditionTree:
        """The subtree of a value, created if there is none."""
        subtree = self.subtrees.get(value)
        if subtree is None:
            subtree = self.subtrees[value] = ConditionTree()
            if self.kind in _AFFIXES:
                self.lengths[len(value)] = self.lengths.get(len(value), 0) + 1
            elif self.kind in _LIMITS:
                insort(self.limits, value)
        return subtree

    def drop(self, value: Any) -> None:
        """Removes the subtree of a value."""
        del self.subtrees[value]
        if self.kind in _AFFIXES:
            self.lengths[len(value)] -= 1
            if not self.lengths[len(value)]:
                del self.lengths[len(value)]
        elif self.kind in _LIMITS:
            del self.limits[bisect_left(self.limits, value)]

    def collect(self, values: Iterable[Any], received: Received, entries: list[TreeEntry]) -> None:
        """Appends the entries that the event's values lead to, each key once."""
        keys = {key: None for value in values for key in self._keys(value)}
        for key in keys:
            subtree = self.subtrees.get(key)
            if subtree is not None:
                subtree.collect(received, entries)

    def _keys(self, value: Any) -> Iterable[Any]:
        kind, limits = self.kind, self.limits
        if kind == EQUAL:
            if self.path.attribute is not None:
                return (canonical(value),)
            return (_key(value),) if value is None or isinstance(value, (str, int, float)) else ()
        if kind in _AFFIXES:
            if self.path.attribute is not None:
                value = canonical(value)
            if not isinstance(value, str):
                return []
            if kind == PREFIX:
                return [value[:length] for length in self.lengths if length <= len(value)]
            return [value[-length:] for length in self.lengths if length <= len(value)]
        if not _is_number(value):
            return []
        if kind == ABOVE:
            return limits[: bisect_left(limits, value)]
        if kind == FROM:
            return limits[: bisect_right(limits, value)]
        if kind == BELOW:
            return limits[bisect_right(limits, value) :]
        return limits[bisect_left(limits, value) :]


# What a tree has before it has its own, as most have only one of the two. They stay empty.
_NO_ENTRIES: dict[str, TreeEntry] = {}
_NO_TABLES: dict[tuple[int, Path], _LookupTable] = {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _key(value: Any) -> Any:
    # In Python True equals 1 and hashes alike; in JSON they are different values.
    return (value,) if isinstance(value, bool) else value
