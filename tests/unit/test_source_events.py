"""Templates, the events that they make, and the rules for sources."""

from typing import Any

import pytest

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import Settings, SourceDefinition, Templates
from event_gateway.core.sources.events import EventMaker
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Refused
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import source_problems
from event_gateway.core.sources.template import MissingValue, RequestValues, compile_template

FORM = "application/x-www-form-urlencoded"


def inbound(body: bytes, media: str = "application/json", **headers: str) -> Inbound:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Inbound(
        method="POST", target="/v1/sources/it?team=a%20b&team=c", url="https://h/v1/sources/it",
        headers={"content-type": media} | given, body=body, received_at=0.0,
    )  # fmt: skip


def rendered(template: str, body: bytes = b"{}", *, as_type: bool = False, **headers: str) -> str:
    request = inbound(body, **headers)
    scope = RequestValues(request, request.content, body, "it")
    return compile_template(template, "event.type").render(scope, as_type=as_type)


@pytest.mark.parametrize(("template", "text"), [
    ("github.{x-github-event}", "github.push"),
    ("{X-GitHub-Event}", "push"),
    ("{body.a.b}-{body.list.1.id}", "7-2"),
    ("{query.team}", "a b"),
    ("{name}/{body.yes}", "it/true"),
    ("{missing|body.nothing|body.a.b}", "7"),
    ("{missing|'none at all'}", "none at all"),
    ("{{literal}}", "{literal}"),
    ("{body.float}", "1.5"),
    ("plain", "plain"),
])  # fmt: skip
def test_placeholders(template: str, text: str) -> None:
    body = b'{"a":{"b":7},"list":[{"id":1},{"id":2}],"yes":true,"nothing":null,"float":1.5}'
    assert rendered(template, body, x_github_event="push") == text


def test_a_digest_is_that_of_the_bytes() -> None:
    assert rendered("{digest}", b"{}").startswith("44136fa355b3678a1146ad16f7e8649e94fb4fc2")


@pytest.mark.parametrize("template", ["{body.a}", "{x-none}", "{query.none}", "{body.list.9}"])
def test_what_is_missing_is_named(template: str) -> None:
    with pytest.raises(MissingValue) as missing:
        rendered(template, b'{"list":[1], "a": {"b": 1}}')
    assert str(missing.value) == template


@pytest.mark.parametrize(("given", "token"), [
    ("orders/create", "orders.create"), ("Push Hook", "Push_Hook"), ("a.b", "a.b"), ("*", "_"),
    ("a>b", "a_b"), ("..", "_"), ("a//b", "a.b"), ("user:created", "user.created"), ("ü", "_"),
])  # fmt: skip
def test_what_is_inserted_into_a_type_becomes_tokens(given: str, token: str) -> None:
    assert rendered("t.{x-event}", x_event=given, as_type=True) == f"t.{token}"


@pytest.mark.parametrize("template", [
    "{", "}", "a{b", "{}", "{body}", "{body.}", "{query.}", "{a b}", "{a{b}}", "{body.a|}",
    "x" * 513,
])  # fmt: skip
def test_templates_that_are_refused(template: str) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        compile_template(template, "event.type")
    assert refused.value.key == "event.type"


def made(request: Inbound, kind: str = "api_key", **templates: str) -> list[Event]:
    definition = SourceDefinition(name="it", type=kind, event=Templates(**templates))
    return EventMaker(definition).events(request, PROVIDERS[kind].entries(request))


def test_data_are_the_bytes_that_came() -> None:
    text = b'{ "type": "a", "n": 1.00, "big": 123456789012345678901234567890 }'
    (event,) = made(inbound(text))
    assert (event.kind, event.data.strip()) == (DataKind.JSON, text)
    assert (event.type, event.source, event.datacontenttype) == ("it.a", "it", "application/json")


def test_a_form_becomes_an_object() -> None:
    (event,) = made(inbound(b"type=a&x=1&x=2&empty=&u=%C3%BC", FORM))
    assert event.data.decode() == '{"type":"a","x":["1","2"],"empty":"","u":"ü"}'
    (event,) = made(inbound(b"payload=%7B%22type%22%3A%22b%22%7D", FORM))
    assert (event.type, event.data) == ("it.b", b'{"type":"b"}')


def test_other_bodies_stay_as_they_are() -> None:
    (event,) = made(inbound("ü".encode(), "text/plain; charset=utf-8"))
    assert (event.kind, event.data, event.type) == (DataKind.TEXT, "ü".encode(), "it.received")
    (event,) = made(inbound(b"<a/>", "application/xml"))
    assert (event.kind, event.data) == (DataKind.BINARY, b"<a/>")
    (event,) = made(inbound(b"\x00\xff", "text/plain"))
    assert event.kind is DataKind.BINARY
    (event,) = made(inbound(b"", ""))
    assert (event.kind, event.datacontenttype) == (DataKind.NONE, None)


@pytest.mark.parametrize("body", [
    b"{", b'{"a": NaN}', b'{"a": "\xff"}', b"\xff\xfe{\x00}\x00", b"[" * 100_000, b"{} {}",
])  # fmt: skip
def test_json_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        made(inbound(body))
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize(("given", "time"), [
    ("1777863721", "2026-05-04T03:02:01.000Z"), ("1777863721123", "2026-05-04T03:02:01.123Z"),
    ("2026-05-04T05:02:01+02:00", "2026-05-04T05:02:01+02:00"), ("yesterday", None),
    ("99999999999999999999", None), ("9999999999999999", "9999-12-31T23:59:59.000Z"),
])  # fmt: skip
def test_times(given: str, time: str | None) -> None:
    (event,) = made(inbound(b"{}", x_time=given), time="{x-time}")
    assert event.time == time


def test_an_event_needs_a_type_and_an_id() -> None:
    for key in ("type", "id"):
        with pytest.raises(Refused) as refused:
            made(inbound(b"{}"), **{key: "{x-none}"})
        assert "{x-none}" in refused.value.detail
    (event,) = made(inbound(b"{}"), subject="{x-none}")
    assert event.subject is None


def test_attributes_are_checked() -> None:
    for templates in ({"source": "a b{body.x}"}, {"subject": "{body.x}"}):
        with pytest.raises(Refused):
            made(inbound(b'{"x": "\\u0007"}'), **templates)


def test_a_list_becomes_an_event_for_each_item() -> None:
    body = b'[{"event":"open","sg_event_id":"a"}, {"event":"click"},{"event":"click","n":2}]'
    events = made(inbound(body), "sendgrid")
    assert [event.type for event in events] == [
        "sendgrid.open", "sendgrid.click", "sendgrid.click",
    ]  # fmt: skip
    assert events[0].id == "a"
    assert events[1].id != events[2].id
    assert events[1].data == b'{"event":"click"}'


def test_cloudevents_keep_their_attributes_unless_the_source_names_others() -> None:
    body = b'{"specversion":"1.0","id":"1","source":"shop","type":"a","x":"y","data":{"k":"v"}}'
    request = inbound(body, "application/cloudevents+json")
    (event,) = made(request, "cloudevents")
    assert (event.type, event.source, event.extensions) == ("a", "shop", {"x": "y"})
    (event,) = made(request, "cloudevents", source="partner", subject="{body.k}")
    assert (event.id, event.source, event.subject) == ("1", "partner", "v")
    batch = inbound(b"[%b,%b]" % (body, body.replace(b'"1"', b'"2"')),
                    "application/cloudevents-batch+json")  # fmt: skip
    assert [each.id for each in made(batch, "cloudevents")] == ["1", "2"]
    binary = inbound(b"{}", ce_specversion="1.0", ce_id="3", ce_source="s", ce_type="t")
    assert made(binary, "cloudevents")[0].id == "3"
    for wrong in (inbound(b"{}"), inbound(b"{}", "application/cloudevents+json")):
        with pytest.raises(Refused):
            made(wrong, "cloudevents")


def problems(kind: str = "github", name: str = "it", **more: Any) -> dict[str, str]:
    settings = Settings(**more.pop("settings", {"secret_name": "s"}))
    definition = SourceDefinition(name=name, type=kind, settings=settings, **more)
    return {problem.key: problem.detail for problem in source_problems(definition)}


def test_rules() -> None:
    assert problems() == {}
    assert "name" in problems(name="a b")
    for name in ("http", "nats", "event-gateway", "HTTP"):
        assert "name" in problems(name=name)
    assert "github" in problems("githb")["type"]
    assert "secret_name" in problems(settings={})
    assert "topics" in problems(settings={"secret_name": "s", "topics": ("t",)})
    assert "secret_name" in problems(settings={"secret_name": "sealing_key"})
    assert "tolerance" in problems(tolerance=5.0)
    assert "tolerance" in problems("stripe", tolerance=0.0)
    assert problems("stripe", tolerance=5.0) == {}
    assert "event.id" in problems(event=Templates(id="{"))
    assert "topics.0" in problems("aws_sns", settings={"topics": ("MyTopic",)})
    assert "public_key" in problems("sendgrid", settings={"public_key": "x"})
    assert "url" in problems("twilio", settings={"secret_name": "s", "url": "ftp://h"})
    assert "subject" in problems("mtls", settings={})
    assert "subject" in problems("mtls", settings={"subject": "nobody"})
    assert "query" in problems("cloudevents", settings={"secret_name": "s", "header": "a",
                                                        "query": "b"})  # fmt: skip
    assert "secret_name" in problems("azure_event_grid", settings={})
    assert "jwks_url" in problems("azure_event_grid", settings={"issuer": "i", "audience": "a"})
    assert {"audience", "email"} <= set(problems("google_pubsub", settings={}))


@pytest.mark.parametrize(("settings", "key"), [
    ({"algorithm": "md5"}, "algorithm"), ({"encoding": "hexx"}, "encoding"),
    ({"signed": "{x-time}"}, "signed"), ({"signed": "{body}{a b}"}, "signed"),
    ({"timestamp": "X-Time"}, "timestamp"), ({"timestamp": "X Time"}, "timestamp"),
])  # fmt: skip
def test_rules_for_hmac(settings: dict[str, Any], key: str) -> None:
    given = {"secret_name": "s", "header": "X-Sig"}
    assert problems("hmac", settings=given) == {}
    assert list(problems("hmac", settings=given | settings)) == [key]
