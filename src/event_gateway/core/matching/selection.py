"""Which events somebody wants beyond their type: all conditions of a webhook or a subscription."""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.dialects import filter_of
from event_gateway.core.matching.expression import EvaluationError, expression_of
from event_gateway.core.matching.filter import Filter, Predicate, check_filter, compile_filter

MAX_FILTERS = 50  # in one list
MAX_CONDITIONS = 200  # in all filters together


class Selection(msgspec.Struct, frozen=True):
    """What must hold of an event, all of it. ``cloudevents_filters`` as the CloudEvents
    Subscriptions API writes them, ``expression`` in CEL."""

    filters: tuple[Filter, ...] = ()
    cloudevents_filters: tuple[dict[str, Any], ...] = ()
    namespaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    expression: str | None = None

    def demands(self) -> Iterator[tuple[str, Filter]]:
        """Each filter, and where it stands; the shortcuts are filters, too."""
        if self.namespaces:
            yield "namespaces", Filter("data.namespace", "in", list(self.namespaces))
        if self.sources:
            yield "sources", Filter("source", "in", list(self.sources))
        for position, one in enumerate(self.filters):
            yield f"filters[{position}]", one
        for position, given in enumerate(self.cloudevents_filters):
            key = f"cloudevents_filters[{position}]"
            yield key, filter_of(given, key)

    def problems(self) -> Iterator[InvalidDefinition]:
        """All that stands against it, each with its place."""
        for key in ("filters", "cloudevents_filters"):
            if len(getattr(self, key)) > MAX_FILTERS:
                yield InvalidDefinition(key, f"there are at most {MAX_FILTERS}")
                return
        conditions = 0
        for position, one in enumerate(self.filters):
            try:
                conditions += check_filter(one, f"filters[{position}]")
            except InvalidDefinition as problem:
                yield problem
        for position, given in enumerate(self.cloudevents_filters):
            key = f"cloudevents_filters[{position}]"
            try:
                conditions += check_filter(filter_of(given, key), key)
            except InvalidDefinition as problem:
                yield problem
        if conditions > MAX_CONDITIONS:
            yield InvalidDefinition(
                "filters", f"with their groups there are at most {MAX_CONDITIONS} conditions"
            )
        if self.expression is not None:
            try:
                expression_of(self.expression)
            except ValueError as error:
                yield InvalidDefinition("expression", str(error))

    def compile(self) -> Predicate:
        """Whether an event passes, in one function; an expression that fails is no match."""
        conditions = [compile_filter(one) for _, one in self.demands()]
        if self.expression is None:
            return lambda received: all(passes(received) for passes in conditions)
        expression = expression_of(self.expression)

        def passes(received: Received) -> bool:
            try:
                return all(one(received) for one in conditions) and expression.holds(received)
            except EvaluationError:
                return False

        return passes
