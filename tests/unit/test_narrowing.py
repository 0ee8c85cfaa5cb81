"""What a narrowed caller may publish, see and manage, as pure functions say it."""

import base64
import json
from typing import Any

import msgspec
import pytest

from event_gateway.core.access.narrowing import (
    may_manage,
    may_read,
    may_select,
    may_touch,
    namespace_of,
    owner_of,
    publish_refusal,
)
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.subscription_view import SubscriptionView, names_of, view_of
from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.enrichment import splice, without_others
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import from_structured, to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.matching.pattern import includes, matches
from event_gateway.core.matching.selection import Selection, compile_selection
from event_gateway.core.webhook.ownership import owned, ownership_problems
from event_gateway.core.webhook.security import Security
from event_gateway.core.webhook.webhook import Tls, Webhook

HEAD = b'"specversion":"1.0","id":"1","source":"s","type":"shop.order.paid"'
JSON_TYPE = b',"datacontenttype":"application/json"'


def caller(**narrowed: Any) -> Principal:
    return Principal(name="k", method="api_key", id="k", scopes=frozenset(("admin",)), **narrowed)


CUSTOMER = caller(namespaces=("customer",))


def received(event: Event) -> Received:
    return Received(event, "GATEWAY_EVENTS", 1, 0.0)


# Data with more than one reading. Each reader of the gateway must find the same namespace there.
AMBIGUOUS = [
    b'{"namespace":"customer","namespace":"rival"}',
    b'{"namespace":"rival","namespace":"customer"}',
    b'{"namespace":"rival","\\u006eamespace":"customer"}',
    b'{"\\u006eamespace":"rival","namespace":"customer"}',
    b'{"namespace":"customer","x":{"namespace":"rival"}}',
    b'{"namespace":["customer"]}', b'{"namespace":{"customer":1}}', b'{"namespace":null}',
    b'{"namespace":true}', b'{"namespace":1}', b'{"namespace":""}', b'{"Namespace":"customer"}',
    b'{"namespace":"cust\\u006fmer"}', b'{"namespace":"customer\\u0000"}',
    b'{"namespace":"customer ","n":1e999}', b'{"namespace":"customer","n":1e999}',
    b'{"namespace":"rival","namespace":"customer","n":1e999}', b'[{"namespace":"customer"}]',
    b'"customer"', b"null", b'{"namespace":"customer"}' + b" " * 10,
    b'{"namespace":"customer","deep":' + b"[" * 2000 + b"]" * 2000 + b"}",
    b'{"namespace":"customer","half":"\\ud800"}',
]  # fmt: skip


def written(data: bytes) -> list[bytes]:
    """Structured events with this data, in each way in which JSON can hold it."""
    encoded = base64.b64encode(data)
    return [
        b"{%b%b,\"data\":%b}" % (HEAD, JSON_TYPE, data),
        b"{%b,\"data\":%b}" % (HEAD, data),
        b"{%b,\"datacontenttype\":\"text/plain\",\"data\":%b}" % (HEAD, data),
        b"{%b%b,\"data_base64\":\"%b\"}" % (HEAD, JSON_TYPE, encoded),
        b"{%b,\"data_base64\":\"%b\"}" % (HEAD, encoded),
        b"{%b%b,\"data\":%b}" % (HEAD, JSON_TYPE, json.dumps(data.decode()).encode()),
    ]  # fmt: skip


@pytest.mark.parametrize("data", AMBIGUOUS, ids=lambda data: data[:40])
def test_publishing_and_matching_read_the_same_namespace(data: bytes) -> None:
    webhook_gets = compile_selection(Selection(namespaces=("customer",)))
    events = []
    for body in written(data):
        try:
            events.append((from_structured(body), body))
        except InvalidEvent:
            continue
    attributes = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "a.b")]
    for content_type in ("application/json", "text/plain", "application/octet-stream", None):
        try:
            event = from_binary(attributes, content_type, data)
        except InvalidEvent:
            continue
        events.append((event, to_structured(event)))
    for event, body in events:
        given = received(event)
        stored = from_message(
            None, body, subject=event.type, stream="GATEWAY_EVENTS", seq=1, time=0.0
        )
        assert namespace_of(stored) == namespace_of(given), body
        assert may_read(CUSTOMER, stored) is webhook_gets(stored) is may_read(CUSTOMER, given)
        if publish_refusal(CUSTOMER, given) is None:
            assert webhook_gets(stored)
            # A receiver that takes the first of two members finds no other namespace.
            pairs = json.loads(stored.event.data, object_pairs_hook=list)
            assert [value for name, value in pairs if name == "namespace"] == ["customer"]


@pytest.mark.parametrize(
    ("event_type", "data", "refused"),
    [
        ("shop.order.paid", {"namespace": "customer"}, None),
        ("shop.order.paid", {"namespace": "rival"}, "in the namespace 'rival'"),
        ("shop.order.paid", {}, "data.namespace"),
        ("shop.order.paid", {"namespace": ["customer"]}, "data.namespace"),
        ("crm.x", {"namespace": "customer"}, "the type 'crm.x'"),
    ],
)
def test_what_may_be_published(event_type: str, data: Any, refused: str | None) -> None:
    event = Event("1", "s", event_type, data=msgspec.json.encode(data), kind=DataKind.JSON)
    narrowed = caller(namespaces=("customer",), types=("shop.>",))
    refusal = publish_refusal(narrowed, received(event))
    assert refusal is None if refused is None else refused in str(refusal)
    assert publish_refusal(caller(), received(event)) is None


@pytest.mark.parametrize("wide", ["a", "a.b", "*.b", "a.*", "a.>", "*.*", ">", "*", "a.*.>"])
@pytest.mark.parametrize("narrow", ["a", "a.b", "*.b", "a.*", "a.>", "*.*", ">", "*", "a.b.c"])
def test_a_pattern_includes_another(wide: str, narrow: str) -> None:
    subjects = ["a", "b", "a.b", "b.b", "a.c", "b.c", "a.b.c", "a.b.c.d", "b.b.c"]
    expected = all(matches(wide, subject) for subject in subjects if matches(narrow, subject))
    assert includes(wide, narrow) is expected


def test_what_may_be_managed() -> None:
    assert may_manage(CUSTOMER, ("customer",), [">"])
    assert not may_manage(CUSTOMER, (), [">"]), "that of an operator"
    assert not may_manage(CUSTOMER, ("customer", "rival"), [">"])
    assert not may_manage(caller(namespaces=()), (), [">"])
    assert may_manage(caller(), (), [">"])
    of_types = caller(types=("shop.>",))
    assert may_manage(of_types, (), ["shop.order.*"])
    assert not may_manage(of_types, (), ["shop.order.*", "crm.x"])
    assert not may_select(of_types, [">"])
    assert may_touch(of_types, ["shop.order.*", "*.order.x", "crm.>"]) == (
        "shop.order.*", "*.order.x"
    )  # fmt: skip
    assert owner_of(caller(namespaces=("b", "a", "b"))) == ("a", "b")


def test_which_subscriptions_are_seen() -> None:
    assert view_of(caller()) is None
    assert view_of(CUSTOMER) == SubscriptionView(("customer",), "api_key:k", None)
    view = SubscriptionView(("customer",), "api_key:k", ("orders",))
    assert view.sees(("customer",), "api_key:other", "orders")
    assert not view.sees((), "api_key:k", "orders")
    assert not view.sees(("customer", "rival"), "api_key:k", "orders")
    assert not view.sees(("customer",), "api_key:k", "audit")
    alone = SubscriptionView(None, "api_key:k", None)
    assert alone.sees((), "api_key:k", "orders")
    assert not alone.sees((), "", "orders"), "of a process of a former version"


def test_whose_durable_names_are_used() -> None:
    assert names_of(caller()) == names_of(caller(streams=("orders",))) == ()
    assert names_of(CUSTOMER) == ("customer",)
    token = Principal(
        name="ada", method="browser_token", id="1", scopes=frozenset(), issued_by="api_key:k"
    )
    # The user of a page has the same names with each token, and takes none of a service.
    for other in ({"id": "2"}, {"namespaces": ("customer",)}, {}):
        assert names_of(msgspec.structs.replace(token, **other)) == ("", "api_key:k:ada")
    assert names_of(msgspec.structs.replace(token, name="bob")) == ("", "api_key:k:bob")


def test_what_a_webhook_with_an_owner_may_have() -> None:
    plain = Webhook(id="w", url="https://receiver.test/", events=(">",))

    def problems(**fields: Any) -> list[str]:
        webhook = owned(msgspec.structs.replace(plain, **fields), ("a", "b"))
        return [problem.key for problem in ownership_problems(webhook)]

    assert owned(plain, ("a", "b")).namespaces == ("a", "b")
    assert problems() == []
    assert problems(namespaces=("a",)) == []
    assert problems(namespaces=("a", "c")) == ["namespaces"]
    assert problems(transformation="of_the_file") == ["transformation"]
    assert problems(transformation="crm_format") == []
    assert problems(tls=Tls("ca.pem")) == ["tls.ca"]
    assert problems(security=(Security("mtls", cert="c", key="k"),)) == ["security[0]"]
    assert problems(security=(Security("bearer_token", "s"),)) == []
    assert list(ownership_problems(msgspec.structs.replace(plain, tls=Tls("ca.pem")))) == []


@pytest.mark.parametrize(
    "data",
    [
        b'{"n":1}',
        b"{}",
        b' {"enrichment":{"x":1},"n":[]} ',
        b'{"n":"\\u0061","\\u0065nrichment":1}',
    ],
)
def test_an_enrichment_without_others(data: bytes) -> None:
    full = {
        "processed_at": "2026-01-01T00:00:00Z", "gateway_version": "1", "incomplete": True,
        "correlation_chain": [{"id": "foreign"}], "related_events": [{"id": "foreign"}],
    }  # fmt: skip
    event = Event("1", "s", "t", data=data, kind=DataKind.JSON)
    spliced = splice(data, msgspec.json.encode(full))
    assert spliced is not None
    enriched = msgspec.structs.replace(event, data=spliced)
    shown = without_others(Received(event, "S", 1, 0.0, enriched=enriched))
    assert b"foreign" not in shown.data
    content = json.loads(shown.data)
    assert content.pop("enrichment") == {
        "processed_at": "2026-01-01T00:00:00Z", "gateway_version": "1",
        "correlation_chain": [], "related_events": [],
    }  # fmt: skip
    assert content == {k: v for k, v in json.loads(data).items() if k != "enrichment"}
    assert without_others(received(event)) is event
