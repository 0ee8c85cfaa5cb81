"""The index: which webhooks want an event, at a cost that grows with those that do.

A trie over the tokens of the type patterns; below each node hash tables on one equality that the
webhook demands (a namespace, a source, an ``equals`` filter), and only for what is left the
webhook's own conditions in turn.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.event import Received
from event_gateway.core.filter import Filter, Predicate, compile_filter
from event_gateway.core.webhook import Webhook

MAX_FOUND = 4096  # types

Key = tuple[type, Any]


class _Entry(msgspec.Struct):
    webhook: Webhook
    conditions: tuple[Predicate, ...]


class _Bucket:
    """The webhooks whose pattern ends at one node of the trie."""

    __slots__ = ("keyed", "plain")

    def __init__(self) -> None:
        self.plain: dict[str, _Entry] = {}
        self.keyed: dict[str, dict[Key, dict[str, _Entry]]] = {}

    def add(self, entry: _Entry, field: str | None, values: list[Any]) -> None:
        if field is None:
            self.plain[entry.webhook.id] = entry
            return
        table = self.keyed.setdefault(field, {})
        for value in values:
            table.setdefault(_key(value), {})[entry.webhook.id] = entry

    def remove(self, webhook_id: str, field: str | None, values: list[Any]) -> None:
        if field is None:
            self.plain.pop(webhook_id, None)
            return
        table = self.keyed.get(field, {})
        for value in values:
            entries = table.get(_key(value), {})
            entries.pop(webhook_id, None)
            if not entries:
                table.pop(_key(value), None)
        if not table:
            self.keyed.pop(field, None)

    def candidates(self, received: Received) -> Iterator[_Entry]:
        yield from self.plain.values()
        for field, table in self.keyed.items():
            value = received.field(field)
            if isinstance(value, (str, int, float, bool)) or value is None:
                yield from table.get(_key(value), {}).values()


class _Node:
    __slots__ = ("children", "here", "rest", "star")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.star: _Node | None = None
        self.here = _Bucket()
        self.rest = _Bucket()


class Index:
    """All webhooks that take events, by what they want."""

    def __init__(self) -> None:
        self._root = _Node()
        self._entries: dict[str, _Entry] = {}
        # Where webhooks for events of a type are found; few types make up most events.
        self._found: dict[str, list[_Bucket]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, webhook: Webhook) -> None:
        """Adds a webhook, or replaces the one of its id. One that is paused takes events too."""
        self.remove(webhook.id)
        if webhook.deleting:
            return
        field, values, conditions = _split(webhook)
        entry = _Entry(webhook, conditions)
        self._entries[webhook.id] = entry
        self._found.clear()
        for pattern in webhook.events:
            self._bucket(pattern).add(entry, field, values)

    def remove(self, webhook_id: str) -> None:
        """Takes a webhook out; one that is not there is fine."""
        entry = self._entries.pop(webhook_id, None)
        if entry is None:
            return
        self._found.clear()
        field, values, _ = _split(entry.webhook)
        for pattern in entry.webhook.events:
            self._bucket(pattern).remove(webhook_id, field, values)

    def match(self, received: Received) -> list[Webhook]:
        """The webhooks that this event is for, each once."""
        found: dict[str, Webhook] = {}
        event_type = received.event.type
        buckets = self._found.get(event_type)
        if buckets is None:
            buckets = [one for one in self._buckets(event_type) if one.plain or one.keyed]
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[event_type] = buckets
        for bucket in buckets:
            for entry in bucket.candidates(received):
                webhook = entry.webhook
                if webhook.id in found or not webhook.takes(received.stream, received.seq):
                    continue
                if not entry.conditions or all(passes(received) for passes in entry.conditions):
                    found[webhook.id] = webhook
        return list(found.values())

    def _bucket(self, pattern: str) -> _Bucket:
        node = self._root
        for token in pattern.split("."):
            if token == ">":
                return node.rest
            if token == "*":
                node.star = node.star or _Node()
                node = node.star
            else:
                node = node.children.setdefault(token, _Node())
        return node.here

    def _buckets(self, event_type: str) -> Iterator[_Bucket]:
        level = [self._root]
        for token in event_type.split("."):
            below = []
            for node in level:
                yield node.rest
                child = node.children.get(token)
                if child is not None:
                    below.append(child)
                if node.star is not None:
                    below.append(node.star)
            level = below
        for node in level:
            yield node.here


def _key(value: Any) -> Key:
    # In Python True equals 1 and hashes alike; in JSON they are different values.
    return (bool, value) if isinstance(value, bool) else (object, value)


def _split(webhook: Webhook) -> tuple[str | None, list[Any], tuple[Predicate, ...]]:
    """One equality to hash on (its field and values), and what is left to check."""
    demands = list(webhook.filters)
    if webhook.sources:
        demands.insert(0, Filter("source", "in", list(webhook.sources)))
    if webhook.namespaces:
        demands.insert(0, Filter("data.namespace", "in", list(webhook.namespaces)))
    for position, demand in enumerate(demands):
        values = demand.value if demand.operator == "in" else [demand.value]
        if demand.operator in ("equals", "in") and all(_hashable(value) for value in values):
            rest = demands[:position] + demands[position + 1 :]
            return demand.field, list(values), tuple(compile_filter(one) for one in rest)
    return None, [], tuple(compile_filter(one) for one in demands)


def _hashable(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool))
