"""What a subscriber wants of a stream's events, in the words that webhooks have for it."""

from typing import Any

from pydantic import Field

from event_gateway.config.definitions import InvalidBody, filter_of_model, validated
from event_gateway.config.values import Section
from event_gateway.config.webhook_model import FilterModel
from event_gateway.core.matching.selection import Selection

KEYS = frozenset(("filters", "cloudevents_filters", "namespaces", "sources", "expression"))


class _SelectionBody(Section):
    filters: list[FilterModel] = Field([])
    cloudevents_filters: list[dict[str, Any]] = Field([])
    namespaces: list[str] = Field([], max_length=1000)
    sources: list[str] = Field([], max_length=1000)
    expression: str | None = None


def selection_from_json(body: dict[str, Any]) -> Selection:
    """The selection that a request's members say. Raises InvalidBody."""
    if not body:
        return Selection()
    model = validated(_SelectionBody, "webhooks", body)
    selection = Selection(
        tuple(filter_of_model(one) for one in model.filters),
        tuple(model.cloudevents_filters),
        tuple(model.namespaces),
        tuple(model.sources),
        model.expression,
    )
    problems = [(one.key, one.detail) for one in selection.problems()]
    if problems:
        raise InvalidBody(problems)
    return selection
