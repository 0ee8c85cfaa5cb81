"""Webhooks by what they demand of an event, so that those which demand something else cost nothing.

A tree of tables: the values of equalities are hashed, prefixes and suffixes looked up by their
lengths, limits of numbers sorted. Only what is left is tested webhook by webhook.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import Expression, expression_of
from event_gateway.core.matching.filter import Filter, Predicate, compile_filter
from event_gateway.core.matching.operators import canonical
from event_gateway.core.matching.path import Path, path_of
from event_gateway.core.webhook.webhook import Webhook

MAX_STEPS = 3  # tables on the way to one webhook
MAX_PLACES = 64  # where one webhook may stand below one pattern

# The kinds of tables, the most telling first, and which of them an operator is looked up in.
EQUAL, PREFIX, SUFFIX, ABOVE, FROM, BELOW, TO = range(7)
_KINDS = {
    "equals": EQUAL, "in": EQUAL, "prefix": PREFIX, "suffix": SUFFIX,
    "gt": ABOVE, "gte": FROM, "lt": BELOW, "lte": TO,
}  # fmt: skip
_AFFIXES = (PREFIX, SUFFIX)
_LIMITS = (ABOVE, FROM, BELOW, TO)

Step = tuple[int, Path, Any]  # a table's kind, what of the event is looked up, an entry's key


class Entry(msgspec.Struct):
    """A webhook, where in a tree it stands, and what is left to test there."""

    webhook: Webhook
    places: list[tuple[Step, ...]]
    conditions: tuple[Predicate, ...]
    expression: Expression | None


def entry_of(webhook: Webhook) -> Entry:
    """The entry of a webhook whose definition is right."""
    demands = list(_flat(one for _, one in webhook.selection.demands()))
    indexed = [(*step, position) for position, one in enumerate(demands) if (step := _step(one))]
    # One value tells more than several; the path only makes like webhooks stand alike.
    indexed.sort(key=lambda step: (step[0], len(step[2]), step[1].text))
    places: list[tuple[Step, ...]] = [()]
    done = set()
    many = False
    for kind, path, values, position in indexed[:MAX_STEPS]:
        if len(places) * len(values) > MAX_PLACES or (many and path.many):
            break  # what several [*] give would have to be looked up in all combinations
        many = many or path.many
        places = [(*place, (kind, path, value)) for place, value in product(places, values)]
        done.add(position)
    rest = [one for position, one in enumerate(demands) if position not in done]
    text = webhook.expression
    return Entry(
        webhook, places, tuple(compile_filter(one) for one in rest),
        None if text is None else expression_of(text),
    )  # fmt: skip


def _flat(filters: Iterable[Filter]) -> Iterator[Filter]:
    for one in filters:
        if one.all is not None:
            yield from _flat(one.all)
        else:
            yield one


def _step(one: Filter) -> tuple[int, Path, list[Any]] | None:
    """The kind of table that a filter is looked up in, if it is; and its values there."""
    kind = None if one.group is not None else _KINDS.get(one.operator)
    if kind is None:
        return None
    path = path_of(one.field)
    values = list(one.value) if one.operator == "in" else [one.value]
    if kind == EQUAL:
        if path.attribute is not None:
            values = [canonical(value) for value in values]
        if all(value is None or isinstance(value, (str, int, float)) for value in values):
            return kind, path, list({_key(value): None for value in values})
        return None
    if kind in _LIMITS and (path.attribute is not None or not _is_number(one.value)):
        return None  # times and text: nobody has so many of them
    return kind, path, values


class Bucket:
    """The webhooks below one pattern, or below one key of a table."""

    __slots__ = ("entries", "tables")

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.tables: dict[tuple[int, Path], _Table] = {}

    @property
    def empty(self) -> bool:
        """Whether it holds nothing."""
        return not self.entries and not self.tables

    def add(self, entry: Entry) -> None:
        """Puts an entry into all its places."""
        for place in entry.places:
            at = self
            for kind, path, value in place:
                table = at.tables.get((kind, path))
                if table is None:
                    table = at.tables[kind, path] = _Table(kind, path)
                at = table.place(value)
            at.entries[entry.webhook.id] = entry

    def remove(self, entry: Entry) -> None:
        """Takes an entry out, and what is empty without it."""
        for place in entry.places:
            self._remove(entry.webhook.id, place)

    def _remove(self, webhook_id: str, place: tuple[Step, ...]) -> None:
        if not place:
            self.entries.pop(webhook_id, None)
            return
        kind, path, value = place[0]
        table = self.tables.get((kind, path))
        below = None if table is None else table.buckets.get(value)
        if table is None or below is None:
            return
        below._remove(webhook_id, place[1:])
        if below.empty:
            table.drop(value)
            if not table.buckets:
                del self.tables[kind, path]

    def collect(self, received: Received, found: list[Entry]) -> None:
        """Adds the entries whose places an event fits; one may be there several times."""
        if self.entries:
            found.extend(self.entries.values())
        for table in self.tables.values():
            path = table.path
            if path.many:
                table.collect(path.values(received), received, found)
            else:
                value = path.value(received)
                if value is not msgspec.UNSET:
                    table.collect((value,), received, found)


class _Table:
    """What hangs on one look at an event: a path, and a way to compare."""

    __slots__ = ("buckets", "kind", "lengths", "limits", "path")

    def __init__(self, kind: int, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.buckets: dict[Any, Bucket] = {}
        self.lengths: dict[int, int] = {}  # of prefixes or suffixes, and how many have it
        self.limits: list[Any] = []  # of numbers, in order

    def place(self, value: Any) -> Bucket:
        """The bucket of a value, made where there is none."""
        bucket = self.buckets.get(value)
        if bucket is None:
            bucket = self.buckets[value] = Bucket()
            if self.kind in _AFFIXES:
                self.lengths[len(value)] = self.lengths.get(len(value), 0) + 1
            elif self.kind in _LIMITS:
                insort(self.limits, value)
        return bucket

    def drop(self, value: Any) -> None:
        """Forgets the bucket of a value."""
        del self.buckets[value]
        if self.kind in _AFFIXES:
            self.lengths[len(value)] -= 1
            if not self.lengths[len(value)]:
                del self.lengths[len(value)]
        elif self.kind in _LIMITS:
            del self.limits[bisect_left(self.limits, value)]

    def collect(self, values: Iterable[Any], received: Received, found: list[Entry]) -> None:
        """Adds what the values of the event lead to, each key once."""
        keys = {key: None for value in values for key in self._keys(value)}
        for key in keys:
            bucket = self.buckets.get(key)
            if bucket is not None:
                bucket.collect(received, found)

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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _key(value: Any) -> Any:
    # In Python True equals 1 and hashes alike; in JSON they are different values.
    return (value,) if isinstance(value, bool) else value
