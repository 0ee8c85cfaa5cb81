"""The index: which webhooks want an event, at a cost that grows with those that do.

A trie over the tokens of the type patterns; below each of its nodes a tree of tables on what the
webhooks demand of the event, and only for what is left their own conditions in turn.
"""

from collections.abc import Callable, Iterator

import structlog

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import EvaluationError, Expression
from event_gateway.core.matching.pattern import MAX_LENGTH
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.condition_tree import Bucket, Entry, entry_of

log = structlog.get_logger(__name__)

MAX_FOUND = 4096  # types that are remembered, none of them longer than a pattern may be

OnError = Callable[[Webhook, Received, EvaluationError], None]


class _Node:
    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}  # by the next token; "*" is any
        self.here = Bucket()
        self.rest = Bucket()

    @property
    def empty(self) -> bool:
        return not self.children and self.here.empty and self.rest.empty


class Index:
    """All webhooks that take events, by what they want."""

    def __init__(self) -> None:
        self._root = _Node()
        self._entries: dict[str, Entry] = {}
        # Where webhooks for events of a type are found; few types make up most events.
        self._found: dict[str, list[Bucket]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, webhook: Webhook) -> None:
        """Adds a webhook, or replaces the one of its id. One that is paused takes events too."""
        self.remove(webhook.id)
        if webhook.deleting:
            return
        self._entries[webhook.id] = entry = entry_of(webhook)
        for pattern in webhook.events:
            bucket = self._bucket(pattern)
            if bucket.empty:
                self._found.clear()
            bucket.add(entry)

    def remove(self, webhook_id: str) -> None:
        """Takes a webhook out; one that is not there is fine."""
        entry = self._entries.pop(webhook_id, None)
        if entry is not None:
            for pattern in entry.webhook.events:
                self._remove(self._root, pattern.split("."), entry)

    def match(self, received: Received, on_error: OnError | None = None) -> list[Webhook]:
        """The webhooks that this event is for, each once. ``on_error`` hears of expressions that
        come to no value, which is no match."""
        event_type = received.event.type
        buckets = self._found.get(event_type)
        if buckets is None:
            buckets = [one for one in self._buckets(event_type) if not one.empty]
            if len(event_type) <= MAX_LENGTH:
                if len(self._found) >= MAX_FOUND:
                    self._found.clear()
                self._found[event_type] = buckets
        candidates: list[Entry] = []
        for bucket in buckets:
            bucket.collect(received, candidates)
        found: list[Webhook] = []
        seen: set[str] = set()
        verdicts: dict[str, bool | EvaluationError] = {}
        for entry in candidates:
            webhook = entry.webhook
            if webhook.id in seen:
                continue
            seen.add(webhook.id)
            if not webhook.is_older_than(received.stream, received.seq):
                continue
            if entry.conditions and not all(passes(received) for passes in entry.conditions):
                continue
            if entry.expression is not None:
                verdict = _verdict(entry.expression, received, verdicts)
                if isinstance(verdict, EvaluationError):
                    if on_error is not None:
                        on_error(webhook, received, verdict)
                    continue
                if not verdict:
                    continue
            found.append(webhook)
        received.activation = None  # large, and of no more use
        return found

    def match_safely(self, received: Received, on_error: OnError | None = None) -> list[Webhook]:
        """The same, but no webhooks where matching raises: the router has set that event aside."""
        try:
            return self.match(received, on_error)
        except Exception as error:
            log.debug("event cannot be matched", seq=received.seq, error=repr(error))
            return []

    def _bucket(self, pattern: str) -> Bucket:
        node = self._root
        for token in pattern.split("."):
            if token == ">":
                return node.rest
            child = node.children.get(token)
            if child is None:
                child = node.children[token] = _Node()
            node = child
        return node.here

    def _remove(self, node: _Node, tokens: list[str], entry: Entry) -> None:
        if not tokens or tokens[0] == ">":
            bucket = node.rest if tokens else node.here
            bucket.remove(entry)
            if bucket.empty:
                self._found.clear()
            return
        child = node.children.get(tokens[0])
        if child is not None:
            self._remove(child, tokens[1:], entry)
            if child.empty:
                del node.children[tokens[0]]

    def _buckets(self, event_type: str) -> Iterator[Bucket]:
        level = [self._root]
        for token in event_type.split("."):
            below = []
            for node in level:
                yield node.rest
                for name in (token, "*") if token != "*" else ("*",):
                    child = node.children.get(name)
                    if child is not None:
                        below.append(child)
            level = below
        for node in level:
            yield node.here


def _verdict(
    expression: Expression, received: Received, known: dict[str, bool | EvaluationError]
) -> bool | EvaluationError:
    """What an expression says of an event, asked once however many webhooks have it."""
    verdict = known.get(expression.text)
    if verdict is None:
        try:
            verdict = expression.holds(received)
        except EvaluationError as error:
            verdict = error
        known[expression.text] = verdict
    return verdict
