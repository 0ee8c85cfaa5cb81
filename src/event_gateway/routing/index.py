"""The index: finds the webhooks that match an event, at a cost that grows with the matches.

A trie over the tokens of the type patterns; below each of its nodes a tree of lookup tables for the
webhooks' filters; only the remaining conditions are tested webhook by webhook.
"""

from collections.abc import Callable, Iterable, Iterator

import structlog

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.cloudevents.type_subject import MAX_LENGTH
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression
from event_gateway.core.matching.sql_condition import SqlCondition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.condition_tree import ConditionTree, TreeEntry, entry_of

log = structlog.get_logger(__name__)

MAX_CACHED = 4096  # event types whose trees are cached; none is longer than a pattern may be

Verdicts = dict[tuple[str, str], bool | EvaluationError]  # by the keys of expressions
OnError = Callable[[Webhook, Received, EvaluationError], None]


class _Node:
    __slots__ = ("children", "here", "rest")

    def __init__(self) -> None:
        self.children = _NO_CHILDREN  # by the next token; "*" is any
        self.here = _NO_WEBHOOKS
        self.rest = _NO_WEBHOOKS

    @property
    def empty(self) -> bool:
        return not self.children and self.here.empty and self.rest.empty

    def child(self, token: str) -> "_Node":
        """The node of the next token, created if there is none."""
        if self.children is _NO_CHILDREN:
            self.children = {}
        child = self.children.get(token)
        if child is None:
            child = self.children[token] = _Node()
        return child


# What a node has before it has its own, as most nodes need one of the three. They stay empty.
_NO_CHILDREN: dict[str, _Node] = {}
_NO_WEBHOOKS = ConditionTree()


class Index:
    """All webhooks that take events, by their type patterns and filters."""

    def __init__(self) -> None:
        self._root = _Node()
        self._entries: dict[str, TreeEntry] = {}
        # By event type, the trees with its webhooks: few types make up most events.
        self._by_type: dict[str, list[ConditionTree]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, webhook: Webhook) -> None:
        """Adds a webhook, or replaces the one of its id. A paused webhook takes events, too."""
        self.remove(webhook.id)
        if webhook.is_leaving:
            return
        self._entries[webhook.id] = entry = entry_of(webhook)
        for pattern in webhook.events:
            tree = self._tree(pattern)
            if tree.empty:
                self._by_type.clear()
            tree.add(entry)

    def remove(self, webhook_id: str) -> None:
        """Removes a webhook; an unknown id is fine."""
        entry = self._entries.pop(webhook_id, None)
        if entry is not None:
            for pattern in entry.webhook.events:
                self._remove(self._root, pattern.split("."), entry)

    def note_unwanted(self, batch: Iterable[Received]) -> None:
        """Notes of each event whether no webhook selects its type, whatever its conditions are."""
        known = self._by_type
        for received in batch:
            event_type = received.event.type
            trees = known.get(event_type)
            received.unwanted = not (self._trees_of(event_type) if trees is None else trees)

    def match(self, received: Received, on_error: OnError | None = None) -> list[Webhook]:
        """The webhooks that match an event, each once. Calls ``on_error`` for each expression that
        has no value for the event, which is no match."""
        candidates: list[TreeEntry] = []
        event_type = received.event.type
        trees = self._by_type.get(event_type)
        for tree in self._trees_of(event_type) if trees is None else trees:
            tree.collect(received, candidates)
        matching: list[Webhook] = []
        seen: set[str] = set()
        verdicts: Verdicts = {}
        for entry in candidates:
            webhook = entry.webhook
            if webhook.id in seen:
                continue
            seen.add(webhook.id)
            if not webhook.is_older_than(received.stream, received.seq):
                continue
            if entry.conditions:
                passed = all(passes(received) for passes in entry.conditions)
                if isinstance(received.fault, EvaluationError):
                    if on_error is not None:
                        on_error(webhook, received, received.fault)
                    received.fault = None
                if not passed:
                    continue
            for expression in entry.expressions:
                verdict = _verdict(expression, received, verdicts)
                if verdict is not True:
                    if isinstance(verdict, EvaluationError) and on_error is not None:
                        on_error(webhook, received, verdict)
                    break
            else:
                matching.append(webhook)
        received.activation = None  # large, and not needed any more
        return matching

    def match_safely(self, received: Received, on_error: OnError | None = None) -> list[Webhook]:
        """The same, but no webhooks where matching raises: the router has set that event aside."""
        try:
            return self.match(received, on_error)
        except Exception as error:
            log.debug("event cannot be matched", seq=received.seq, error=type(error).__name__)
            return []

    def _trees_of(self, event_type: str) -> list[ConditionTree]:
        trees = self._by_type.get(event_type)
        if trees is None:
            trees = [tree for tree in self._trees(event_type) if not tree.empty]
            if len(event_type) <= MAX_LENGTH:
                if len(self._by_type) >= MAX_CACHED:
                    self._by_type.clear()
                self._by_type[event_type] = trees
        return trees

    def _tree(self, pattern: str) -> ConditionTree:
        node = self._root
        for token in pattern.split("."):
            if token == ">":
                if node.rest is _NO_WEBHOOKS:
                    node.rest = ConditionTree()
                return node.rest
            node = node.child(token)
        if node.here is _NO_WEBHOOKS:
            node.here = ConditionTree()
        return node.here

    def _remove(self, node: _Node, tokens: list[str], entry: TreeEntry) -> None:
        if not tokens or tokens[0] == ">":
            tree = node.rest if tokens else node.here
            tree.remove(entry)
            if tree.empty:
                self._by_type.clear()
            return
        child = node.children.get(tokens[0])
        if child is not None:
            self._remove(child, tokens[1:], entry)
            if child.empty:
                del node.children[tokens[0]]

    def _trees(self, event_type: str) -> Iterator[ConditionTree]:
        """The trees of the patterns that take a type, as :func:`.pattern.takes` says."""
        level = [self._root]
        by_name = is_lifecycle(event_type)  # no wildcard stands for its first token
        for token in event_type.split("."):
            below = []
            for node in level:
                if not by_name:
                    yield node.rest
                for name in (token, "*") if token != "*" and not by_name else (token,):
                    child = node.children.get(name)
                    if child is not None:
                        below.append(child)
            level, by_name = below, False
        for node in level:
            yield node.here


def _verdict(
    expression: CelExpression | SqlCondition, received: Received, known: Verdicts
) -> bool | EvaluationError:
    """The value of an expression for an event; webhooks with equal expressions share it."""
    verdict = known.get(expression.key)
    if verdict is None:
        try:
            verdict = expression.holds(received)
        except EvaluationError as error:
            verdict = error
        known[expression.key] = verdict
    return verdict
