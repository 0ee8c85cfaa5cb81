"""Each field of a selection reaches every form of a selection."""

import json
from typing import Any

import msgspec
import pytest

from event_gateway.api.answers.webhooks import WebhookAnswer
from event_gateway.api.live.requests import read_query, read_subscribe
from event_gateway.cli.assistants import webhooks as assistants
from event_gateway.cli.commands import webhooks as commands
from event_gateway.config.definitions import webhook_of
from event_gateway.config.request_bodies import webhook_from_json
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.config.schema import json_schema
from event_gateway.config.selection_model import SelectionModel, selection_arguments
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.matching.operators import MAX_LIST
from event_gateway.core.matching.selection import (
    FIELDS,
    Selection,
    compile_selection,
    selection_problems,
    selection_values,
)
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.explain import explain
from event_gateway.routing.index import Index

MET = Received(
    Event("1", "/shop", "user.made", extensions={"ext": "x"}, kind=DataKind.JSON,
          data=b'{"namespace": "north", "n": 7}'), "GATEWAY_EVENTS", 1, 0.0,
)  # fmt: skip
UNMET = Received(
    Event("2", "/mill", "user.made", extensions={"ext": "y"}, kind=DataKind.JSON,
          data=b'{"namespace": "south", "n": 1}'), "GATEWAY_EVENTS", 2, 0.0,
)  # fmt: skip

# A value of each field, as JSON has it: MET meets it, and UNMET does not.
EXAMPLES: dict[str, Any] = {
    "namespaces": ["north", "east"],
    "sources": ["/shop"],
    "filters": [{"field": "data.n", "operator": "gt", "value": 5},
                {"not": {"field": "data.n", "operator": "gt", "value": 8}},
                {"all": [{"field": "data.n", "operator": "in", "value": [6, 7]}]}],
    "cloudevents_filters": [{"exact": {"ext": "x"}}],
    "expression": "event.data.n == 7",
}  # fmt: skip
TRANSFORMATIONS = frozenset(("standard",))


def of(**fields: Any) -> Webhook:
    """The webhook of a model with these fields."""
    model = WebhookModel(url="https://example.com/", events=["user.*"], **fields)
    return webhook_of(model, "w", managed_by="file")


def test_each_field_has_an_example() -> None:
    assert EXAMPLES.keys() == FIELDS.keys() == set(Selection.__struct_fields__)


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_reaches_every_form(name: str) -> None:
    example = EXAMPLES[name]
    webhook = of(**{name: example})
    value = getattr(webhook, name)
    assert value != getattr(Selection(), name)

    schema = json_schema()["$defs"]["WebhookModel"]["properties"]
    assert schema[name]["description"] == FIELDS[name].description

    stored = msgspec.json.encode(webhook)
    assert json.loads(stored)[name] == example, "beside the other keys of the webhook"
    assert msgspec.json.decode(stored, type=Webhook) == webhook

    shown = webhook_to_json(webhook)
    assert shown[name] == example, "lists, and not tuples: a change merges into this"
    assert name in WebhookAnswer.__annotations__, "the OpenAPI document"
    assert name in (*commands.SELECTION, "expression"), "what the command webhooks show prints"
    state = {"state": "active", "disabled": None}
    details = assistants._details(shown | state, {})
    assert len(details.conditions) == (len(example) if isinstance(example[0], dict) else 1), name
    registered = webhook_from_json(shown, TRANSFORMATIONS, 1e6, lambda url: None)
    assert getattr(registered, name) == value

    request = {"stream": "s", name: example}
    assert read_subscribe(request).selection == Selection(**{name: value})
    query = {"stream": "s", name: example if isinstance(example, str) else json.dumps(example)}
    assert read_query(query).selection == Selection(**{name: value})

    again = Webhook("w", "", ("user.*",), **selection_values(webhook))
    assert getattr(again, name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_applied_everywhere(name: str) -> None:
    webhook = of(**{name: EXAMPLES[name]})
    index = Index()
    index.put(webhook)
    assert explain(webhook, MET) is None
    assert index.match(MET) == [webhook]
    failed = explain(webhook, UNMET)
    assert failed is not None
    assert failed.condition.partition("[")[0] == name
    assert index.match(UNMET) == []
    holds = compile_selection(webhook)
    assert (holds(MET), holds(UNMET)) == (True, False)


def test_all_fields_together() -> None:
    assert selection_values(of(**EXAMPLES)) == selection_arguments(SelectionModel(**EXAMPLES))
    assert explain(of(**EXAMPLES), MET) is None
    assert list(selection_problems(of(**EXAMPLES))) == []


def test_what_earlier_versions_stored_is_read() -> None:
    stored = (
        b'{"id":"w","url":"https://example.com/","events":["user.*"],"filters":[{"field":"data.n",'
        b'"operator":"gt","value":5},{"not":{"field":"data.n","operator":"gt","value":8}},'
        b'{"all":[{"field":"data.n","operator":"in","value":[6,7]}]}],'
        b'"cloudevents_filters":[{"exact":{"ext":"x"}}],"expression":"event.data.n == 7",'
        b'"namespaces":["north","east"],"sources":["/shop"],"transformation":"standard",'
        b'"managed_by":"file"}'
    )
    assert msgspec.json.decode(stored, type=Webhook) == of(**EXAMPLES)


@pytest.mark.parametrize("name", ["namespaces", "sources"])
def test_no_more_values_than_a_filter_can_have(name: str) -> None:
    values = tuple(f"v{number}" for number in range(MAX_LIST))
    most: dict[str, Any] = {name: values}
    more: dict[str, Any] = {name: (*values, "more")}
    assert list(selection_problems(Selection(**most))) == []
    (problem,) = selection_problems(Selection(**more))
    assert (problem.key, "at most 1000" in problem.detail) == (name, True)
