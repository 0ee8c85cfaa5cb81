"""The built-in transformations: the formats on which receivers rely, for any event."""

import ipaddress
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import TransformationDefinition
from event_gateway.request.transformations import Transformations
from event_gateway.request.transformations.ecs_classification import (
    CATEGORIES,
    EXPECTED,
    INSTEAD,
    KINDS,
    SEVERITIES,
    SEVERITY_WORDS,
    TYPES,
    classify,
)

RECEIVED_AT = 1_777_863_721.25  # 2026-05-04T03:02:01.25Z
ECS = json.loads(Path("tests/data/ecs.json").read_text())
DOCS = Path("docs/reference/transformations.md").read_text()
EVERY = Transformations(
    [
        TransformationDefinition("cef", base="siem_format", format="cef"),
        TransformationDefinition("acme", base="analytics_format", platform="acme"),
    ],
    on_fallback=print,
)


def transformed(name: str, event: Event) -> tuple[str, bytes]:
    chosen = EVERY.find(name)
    assert chosen is not None
    result = chosen.transform(event, RECEIVED_AT)
    assert isinstance(result, tuple)
    return result[0].decode(), result[1]


def of(event_type: str = "a.b", data: Any = None, **more: Any) -> Event:
    return Event("1", "s", event_type, data=json.dumps(data).encode(), kind=DataKind.JSON, **more)


def examples() -> dict[str, str]:
    """The examples of the page, by the name in the comment before each."""
    return dict(re.findall(r"<!-- example: (\w+) -->\n```\w*\n(.*?)\n```", DOCS, re.DOTALL))


def test_the_examples_of_the_reference_are_correct() -> None:
    shown = examples()
    event = from_structured(json.dumps(json.loads(shown["event"])).encode())
    assert len(shown) >= 6
    for name in ("standard", "analytics_format", "crm_format", "siem_format"):
        content_type, body = transformed(name, event)
        assert json.loads(body) == json.loads(shown[name]), name
        json_type = "application/cloudevents+json" if name == "standard" else "application/json"
        assert content_type == json_type
    content_type, body = transformed("cef", event)
    assert body.decode() == shown["cef"]
    assert content_type == "text/plain; charset=utf-8"


def test_the_tables_of_the_reference_are_those_of_the_code() -> None:
    for table in (CATEGORIES, TYPES):
        for name, words in table.items():
            assert f"| `{name}` | {', '.join(words)} |" in DOCS
    for (category, kind), instead in INSTEAD.items():
        assert f"| `{category}` | `{kind}` | `{instead}` |" in DOCS
    assert ", ".join(f"`{word}` {value}" for word, value in SEVERITY_WORDS.items()) in DOCS.replace(
        "\n", " "
    )
    for what, value in SEVERITIES.items():
        assert re.search(rf"\| {what}[^|]*\| {value} \|", DOCS), what
    assert all(word in DOCS for words in KINDS.values() for word in words)


def test_analytics_format() -> None:
    event = of("terminus.commit.created", {"n": 1.50}, time="2026-05-04T03:02:01Z")
    _, body = transformed("analytics_format", event)
    assert json.loads(body) == {
        "timestamp": "2026-05-04T03:02:01Z", "event_type": "terminus.commit.created",
        "source_service": "s", "payload": {"n": 1.5},
        "metadata": {"platform": "arrakis", "version": "2.0.0", "correlation_id": "1"},
    }  # fmt: skip
    assert json.loads(transformed("acme", event)[1])["metadata"]["platform"] == "acme"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (of("a.schema.created", {"namespace": "customer"}, subject="schema/x/y"),
         ("schema", "x/y", "created", "customer")),
        (of("created", {"namespace": None}, subject="x"), (None, None, "created", None)),
        (of("a.b", [1], subject="x/"), ("a", None, "b", None)),
        (of("a.b", {"namespace": {"k": [1.5]}}), ("a", None, "b", {"k": [1.5]})),
        (Event("1", "s", "a.b", data=b"\xff", kind=DataKind.BINARY), ("a", None, "b", None)),
    ],
)  # fmt: skip
def test_crm_format(event: Event, expected: tuple[Any, ...]) -> None:
    body = json.loads(transformed("crm_format", event)[1])
    assert list(body) == ["event", "event_id", "occurred_at", "object_type", "object_id", "action",
                          "account", "properties", "source"]  # fmt: skip
    names = ("object_type", "object_id", "action", "account")
    assert tuple(body[name] for name in names) == expected


@pytest.mark.parametrize(
    ("event_type", "category", "types", "outcome", "kind"),
    [
        ("ontology.schema.created", ["configuration"], ["creation"], "success", "event"),
        ("ontology.violation.detected", ["intrusion_detection"], ["info"], "failure", "alert"),
        ("terminus.commit.created", ["database"], ["change"], "success", "event"),
        ("scheduler.job.completed", ["process"], ["end"], "success", "event"),
        ("scheduler.job.failed", ["process"], ["end"], "failure", "event"),
        ("user.authenticated", ["authentication"], ["start"], "success", "event"),
        ("audit.events.login_failed", ["authentication"], ["start"], "failure", "event"),
        ("audit.events.user-deleted", ["iam"], ["deletion", "user"], "success", "event"),
        ("audit.role.granted", ["iam"], ["change", "admin"], "success", "event"),
        ("orders.placed", [], ["info"], "unknown", "event"),
        ("orders.cancelled", [], ["end"], "success", "event"),
        ("host.metrics", [], ["info"], "unknown", "metric"),
        ("файл.создан", [], ["info"], "unknown", "event"),
    ],
)
def test_the_classification_of_types(
    event_type: str, category: list[str], types: list[str], outcome: str, kind: str
) -> None:
    about = json.loads(transformed("siem_format", of(event_type))[1])["event"]
    result = (about["category"], about["type"], about["outcome"], about["kind"])
    assert result == (category, types, outcome, kind)


def test_every_category_and_type_is_one_of_ecs() -> None:
    allowed = ECS["allowed"]
    assert set(CATEGORIES) == set(EXPECTED) <= set(allowed["event.category"])
    assert set(KINDS) <= set(allowed["event.kind"])
    for category, types in EXPECTED.items():
        assert {*types, "info"} <= set(allowed["event.category"][category])
    for (category, _), instead in INSTEAD.items():
        assert instead in EXPECTED[category]
    assert set(TYPES) <= set(allowed["event.type"])


words = st.sampled_from(
    [word for table in (CATEGORIES, TYPES, KINDS) for words in table.values() for word in words]
    + ["orders", "detected", "", "Δ", "x=y|z\\", "a b"]
)  # fmt: skip
names = st.text(
    st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=30
)  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.sampled_from(["10.0.0.1", "::1", "fe80::1%eth0", "2001:db8::1", "critical", "failure"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["id", "name", "a.b"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
known = st.sampled_from(
    ["user_id", "actor", "created_by", "author", "source_ip", "client_ip", "ip", "ip_address",
     "remote_addr", "outcome", "severity", "message", "namespace", "other"]
)  # fmt: skip
times = st.none() | st.sampled_from(
    ["2026-05-04T03:02:01Z", "2026-05-04t03:02:60z", "2026-05-04T03:02:01.123456789+02:00",
     "2026-12-31T23:59:60.1234567890123-11:30"]
)  # fmt: skip


@st.composite
def events(draw: st.DrawFn) -> Event:
    kind = draw(st.sampled_from(DataKind))
    data = b""
    if kind is DataKind.JSON:
        payload = draw(st.dictionaries(known, values, max_size=6) | values)
        data = json.dumps(payload, ensure_ascii=draw(st.booleans())).encode()
    elif kind is DataKind.TEXT:
        data = draw(st.text(st.characters(exclude_categories=["Cs"]))).encode()
    elif kind is DataKind.BINARY:
        data = draw(st.binary())
    return Event(
        draw(names), draw(names), ".".join(draw(st.lists(words, min_size=1, max_size=5))) or "x",
        draw(st.none() | names), draw(times),
        extensions=draw(
            st.dictionaries(st.sampled_from(["correlationid", "tenant", "n"]),
                            names | st.integers(-5, 5) | st.booleans(), max_size=3)
        ),
        data=data, kind=kind,
    )  # fmt: skip


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and prefix + name != "labels":
            out |= _flat(inner, f"{prefix}{name}.")
        else:
            out[prefix + name] = inner
    return out


@given(events())
def test_siem_format_conforms_to_ecs_for_any_event(event: Event) -> None:
    body = json.loads(transformed("siem_format", event)[1])
    custom = body.pop("arrakis")
    assert set(custom) == {"data"}
    if event.kind is DataKind.JSON:
        assert custom["data"] == json.loads(event.data)
    flat = _flat(body)
    for name in ECS["fields"]:
        if not name.startswith(("user.", "source.")):  # they are present if they are known
            assert name in flat, name
    for name, value in flat.items():
        field = ECS["fields"][name]
        many = value if field.get("array") else [value]
        assert isinstance(many, list)
        for item in many:
            if field["type"] == "long":
                assert type(item) is int
            elif field["type"] == "object":
                assert all(isinstance(v, str) and "." not in k for k, v in item.items())
            else:
                assert isinstance(item, str)
        if field["type"] == "ip":
            assert "%" not in value
            ipaddress.ip_address(value)
        if field["type"] == "date":
            datetime.fromisoformat(value)
            assert re.fullmatch(r"[-0-9]{10}T[:0-9]{8}(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", value)
    about, allowed = body["event"], ECS["allowed"]
    assert about["kind"] in allowed["event.kind"]
    assert about["outcome"] in allowed["event.outcome"]
    assert 0 <= about["severity"] <= 10
    assert about["type"]
    for item in about["type"]:
        assert item in allowed["event.type"]
        for category in about["category"]:
            assert item in allowed["event.category"][category]


def _parsed_cef(line: str) -> tuple[list[str], dict[str, str]]:
    """Parses a line of CEF: the seven fields of the header, and the extension."""
    assert "\n" not in line
    assert "\r" not in line
    parts = re.split(r"(?<!\\)((?:\\\\)*)\|", line, maxsplit=7)
    fields = [parts[n] + parts[n + 1] for n in range(0, 14, 2)]
    header = [re.sub(r"\\([\\|])", r"\1", field) for field in fields]
    extension = {}
    starts = [*re.finditer(r"(?:^| )([A-Za-z0-9]+)=", parts[14])]
    for start, after in zip(starts, [*starts[1:], None], strict=True):
        text = parts[14][start.end() : after.start() if after else None]
        result = re.sub(
            r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), text
        )  # fmt: skip
        extension[start[1]] = result
    return header, extension


@given(events())
def test_cef_can_be_parsed_for_any_event(event: Event) -> None:
    header, extension = _parsed_cef(transformed("cef", event)[1].decode())
    assert header[:3] == ["CEF:0", "Arrakis", "Event Gateway"]
    assert header[4] == event.type
    assert 0 <= int(header[6]) <= 10
    assert extension["externalId"] == event.id
    assert extension["sourceServiceName"] == event.source
    assert extension["outcome"] in ECS["allowed"]["event.outcome"]
    assert extension.get("cs1") == event.subject
    assert int(extension["rt"]) > 0
    if "src" in extension:
        ipaddress.IPv4Address(extension["src"])
    if "c6a2" in extension:
        ipaddress.IPv6Address(extension["c6a2"])
    if event.kind is DataKind.JSON and len(event.data.decode()) <= 4000:
        assert json.loads(extension["cs3"]) == json.loads(event.data)


def test_the_escapes_of_cef() -> None:
    event = of("a|b\\c=d", {"message": "one | two \\ three = four\nfive\r\nsix"})
    line = transformed("cef", event)[1].decode()
    assert "|a\\|b\\\\c=d|one \\| two \\\\ three = four five six|" in line
    assert "msg=one | two \\\\ three \\= four\\nfive\\nsix " in line


@given(events())
def test_the_other_formats_accept_any_event(event: Event) -> None:
    payload = json.loads(transformed("analytics_format", event)[1])["payload"]
    assert payload == json.loads(transformed("crm_format", event)[1])["properties"]
    if event.kind is DataKind.JSON:
        assert payload == json.loads(event.data)
    if event.kind is DataKind.NONE:
        assert payload is None


@pytest.mark.parametrize(
    ("data", "user", "ip"),
    [
        ({"user_id": "u", "actor": "a"}, "u", None), ({"actor": "a", "author": "b"}, "a", None),
        ({"created_by": 7}, "7", None), ({"author": {"id": "x", "name": "X"}}, "x", None),
        ({"user_id": "", "author": "b"}, "b", None), ({"user_id": True}, None, None),
        ({"source_ip": "nonsense", "ip": "192.0.2.1"}, None, "192.0.2.1"),
        ({"client_ip": "fe80::1%eth0"}, None, None), ({"ip": "2001:DB8::1"}, None, "2001:db8::1"),
        ({"ip": 3232235777}, None, None), ([1], None, None),
    ],
)  # fmt: skip
def test_user_and_address(data: Any, user: str | None, ip: str | None) -> None:
    body = json.loads(transformed("siem_format", of(data=data))[1])
    assert body.get("user", {}).get("id") == user
    assert body.get("source", {}).get("ip") == ip


@pytest.mark.parametrize(
    ("data", "severity", "outcome"),
    [
        ({}, 4, "success"), ({"severity": "CRITICAL"}, 10, "success"),
        ({"severity": 7}, 7, "success"), ({"severity": 70}, 4, "success"),
        ({"severity": True}, 4, "success"), ({"outcome": "so-so"}, 4, "success"),
        ({"severity": "odd", "outcome": "failure"}, 4, "failure"),
    ],
)  # fmt: skip
def test_severity_and_outcome_in_the_data(data: Any, severity: int, outcome: str) -> None:
    about = json.loads(transformed("siem_format", of("file.deleted", data))[1])["event"]
    assert (about["severity"], about["outcome"]) == (severity, outcome)


def test_without_a_time_the_time_of_receipt_is_used() -> None:
    body = json.loads(transformed("siem_format", of())[1])
    assert body["@timestamp"] == "2026-05-04T03:02:01.250Z"
    assert json.loads(transformed("crm_format", of())[1])["occurred_at"] is None
    assert json.loads(transformed("analytics_format", of())[1])["timestamp"] is None


def test_severity_by_kind_and_outcome() -> None:
    types = ("a.violation", "a.failed", "a.deleted", "a.b")
    assert [classify(type).severity for type in types] == [8, 6, 4, 2]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"name": "standard", "base": "standard"}, "is built in"),
        ({"name": "a b", "base": "standard"}, "is not of the form"),
        ({"name": "x"}, "one of base, template and python"),
        ({"name": "x", "base": "standard", "template": 1}, "exactly one of"),
        ({"name": "x", "base": "crm"}, "'crm' is unknown; there are: standard, analytics_format"),
        ({"name": "x", "base": "crm_format", "format": "cef"}, "is an option of base: siem_format"),
        ({"name": "x", "base": "siem_format", "format": "leef"}, "must be ecs or cef"),
        ({"name": "x", "base": "crm_format", "platform": "p"}, "option of base: analytics_format"),
        ({"name": "x", "base": "analytics_format", "platform": ""}, "1 to 256 characters"),
        ({"name": "x", "base": "standard", "content_type": "a/b"}, "template and python"),
        ({"name": "x", "template": 1, "content_type": "a/b\r\nx: y"}, "is not a media type"),
        ({"name": "x", "template": {}, "content_type": "text/plain"}, "the template must be one"),
    ],
)
def test_invalid_definitions_are_refused(definition: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDefinition, match=re.escape(message)):
        Transformations([TransformationDefinition(**definition)], on_fallback=print)
