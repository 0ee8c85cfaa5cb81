"""The attributes of an event: validity, limits, and what the gateway derives from them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from event_gateway.core.cloudevents.attributes import (
    MAX_ATTRIBUTES,
    is_time,
    is_uri,
    is_uri_reference,
)
from event_gateway.core.cloudevents.binary_mode import from_binary, to_binary
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.core.cloudevents.type_subject import MAX_LENGTH
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.log_subjects import subject_for
from event_gateway.request.trace_context import trace_lines
from support.examples import examples
from support.generated_events import (
    sources,
    times,
    uris,
)
from support.limited_work import limited_work

HEAD = '{"specversion":"1.0","id":"1","source":"s","type":"t"'


def _lines(head: bytes) -> list[tuple[str, str]]:
    """Header lines as a receiver parses them."""
    lines = head.decode().removesuffix("\r\n").split("\r\n")
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def _refused(body: str | bytes) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        from_structured(body.encode() if isinstance(body, str) else body)
    return caught.value


@pytest.mark.parametrize(
    "source",
    ["tests", "/", "a/b:c", "?", "#f", "%41", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
     "mailto:a@b.c", "http://[::1]:80/x?y#z", "//host:8/x", "1-555-123-4567", "nats:A", "*",
     "http://[v1.a:b]/", "a:", "x:/", "x://"],
)  # fmt: skip
def test_a_source_that_is_a_uri_reference(source: str) -> None:
    assert is_uri_reference(source)
    assert from_structured(json.dumps({"specversion": "1.0", "id": "1", "source": source,
                                       "type": "t"}).encode()).source == source  # fmt: skip


@pytest.mark.parametrize(
    ("source", "message"),
    [("a b", "' '"), ("é", "'é'"), ("a\\b", "'\\\\\\\\'"), ("<x>", "'<'"), ("%4", "'%'"),
     ("100%", "'%'"), ("a%zzb", "%25"), ("1a:b", "RFC 3986"), (":x", "RFC 3986"),
     ("a#b#c", "RFC 3986"), ("http://[::1", "RFC 3986"), ("http://[:::]/", "RFC 3986"),
     ("a[b]", "RFC 3986"), ("{}", "%7B"), ("a|b", "%7C"), ("€", "%E2%82%AC")],
)  # fmt: skip
def test_an_invalid_source(source: str, message: str) -> None:
    body = json.dumps({"specversion": "1.0", "id": "1", "source": source, "type": "t"})
    error = _refused(body)
    assert error.reason == "invalid"
    assert error.detail.startswith("source ")
    assert message.replace("\\\\\\\\", "\\\\") in error.detail
    if message.startswith(("%", "'")):
        assert "may be percent-encoded" in error.detail


def test_a_dataschema_has_a_scheme() -> None:
    for right in ("https://example.com/schema.json#/a", "urn:x:y", "a:"):
        assert from_structured(f'{HEAD},"dataschema":"{right}"}}'.encode()).dataschema == right
    for wrong in ("schema.json", "/a", "1x:y", "https://a b/", "#a", ""):
        assert "dataschema" in _refused(f'{HEAD},"dataschema":"{wrong}"}}').detail


@settings(max_examples=examples(500))
@given(source=sources, schema=uris, time=times)
def test_generated_uris_and_times_are_valid(source: str, schema: str, time: str) -> None:
    assert is_uri_reference(source)
    assert is_uri(schema)
    assert is_uri_reference(schema)
    assert is_time(time)


def test_uris_are_checked_in_linear_time() -> None:
    long = 60_000
    for text in ("a" * long + " ", "%41" * long, "a@" * long, "//" + "a" * long + "[",
                 "a:" * long, "//" + "a:" * long, "/" * long + "^", "a" * long + ":"):  # fmt: skip
        with limited_work(text[:9]):
            is_uri_reference(text)
            is_uri(text)


@pytest.mark.parametrize(
    "right",
    ["2026-05-04T03:02:01Z", "2024-02-29T00:00:00Z", "2000-02-29t00:00:00z",
     "2016-12-31T23:59:60Z", "2026-01-31T00:00:00.123456789123+23:59", "0001-01-01T00:00:00-00:00"],
)  # fmt: skip
def test_a_time_keeps_its_text(right: str) -> None:
    assert from_structured(f'{HEAD},"time":"{right}"}}'.encode()).time == right


@pytest.mark.parametrize(
    "wrong",
    ["2026-02-31T00:00:00Z", "2026-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "noon", "",
     "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01",
     "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z",
     "2026-01-01T00:00:61Z", "2026-01-01T00:00:00+24:00", "٢٠٢٦-01-01T00:00:00Z",
     "2026-01-01T00:00:00Z\\n"],
)  # fmt: skip
def test_a_time_that_does_not_exist(wrong: str) -> None:
    error = _refused(f'{HEAD},"time":"{wrong}"}}')
    assert (error.reason, "time" in error.detail) == ("invalid", True)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ('"partitionkey":""', "partitionkey"), ('"subject":""', "subject"),
        ('"Ext":"x"', "attribute name"), ('"a_b":"x"', "attribute name"),
        ('"":"x"', "attribute name"),
        ('"é":"x"', "attribute name"), ('"x":1.5', "32-bit"), ('"x":2147483648', "32-bit"),
        ('"x":1e400', "out of range"), ('"x":[]', "32-bit"), ('"x":{}', "32-bit"),
        ('"id2":"\\u0000"', "control"),
        ('"x":"\\ufffe"', "character"), ('"x":"\\ud83f\\udffe"', "character"),
        ('"x":"\\ud800"', "surrogate"),
        ('"subject":"a\\u0085"', "control"), ('"data":1,"data_base64":""', "exclude"),
        ('"data_base64":7', "string"), ('"data_base64":"%"', "base64"),
        ('"data_base64":"YQ"', "base64"),
        ('"datacontenttype":""', "datacontenttype"), ('"datacontenttype":7', "string"),
    ],
)  # fmt: skip
def test_invalid_attributes(members: str, message: str) -> None:
    error = _refused(f"{HEAD},{members}}}")
    assert (error.reason, message in error.detail) == ("invalid", True), error.detail


def test_all_types_and_what_is_unset() -> None:
    event = from_structured(
        (HEAD + ',"i":-2147483648,"b":false,"s":"","n":null,"subject":null,"data_base64":null,'
         '"' + "a1" * 100 + '":"long name"}').encode()
    )  # fmt: skip
    assert event.extensions == {
        "i": -(2**31), "b": False, "s": "", "a1" * 100: "long name",
    }  # fmt: skip
    assert (event.subject, event.kind) == (None, DataKind.NONE)
    head, _ = to_binary(event)
    assert b"ce-i: -2147483648\r\nce-b: false\r\nce-s: \r\n" in head
    assert from_structured((HEAD + ',"data":null}').encode()).data == b"null"


def test_all_attributes_share_one_limit() -> None:
    room = MAX_ATTRIBUTES - sum(len(part) for part in ("specversion", "1.0", "id", "1", "source",
                                                       "s", "type", "t"))  # fmt: skip
    for name in ("subject", "x" * 1000, "datacontenttype"):
        for text in ("x", "é", "😀"):
            most = (room - len(name)) // len(text.encode())
            fits = f'{HEAD},"{name}":"{text * most}"}}'.encode()
            assert from_structured(fits)
            error = _refused(f'{HEAD},"{name}":"{text * (most + 1)}"}}')
            assert str(MAX_ATTRIBUTES) in error.detail
    many = ",".join(f'"x{number}":{number}' for number in range(5000))
    assert len(from_structured(f"{HEAD},{many}}}".encode()).extensions) == 5000
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    with pytest.raises(InvalidEvent, match="262144"):
        from_binary((headers | {"ce-x": "%" * 300_000}).items(), None, b"")


def test_the_subject_of_a_type() -> None:
    captured = ("user.>", "events.>")
    assert subject_for("user.created", captured) == "user.created"
    assert subject_for("a..b c", captured) == "events.a.%.b%20c"
    longest = "user." + "x" * (MAX_LENGTH - 5)
    assert subject_for(longest, captured) == longest
    for long in (longest + "x", "user." + "é" * 100, "user." + "a." * 30_000, "x" * 60_000,
                 "user." + "x" * 194 + "éé" + "x" * 100):  # fmt: skip
        result = subject_for(long, captured)
        assert len(result) < 2000
        assert result.startswith("user." if long.startswith("user.") else "events.")
        assert all(result.split("."))
        beginning, _, digest = result.removeprefix("events.").rpartition("~")
        assert len(digest) == 16
        assert beginning.startswith(subject_for(long[:9], ()).removeprefix("events.").rstrip("%."))
        assert "%" not in beginning[-2:]
        assert subject_for(long + "x", captured) != result


@pytest.mark.parametrize(
    ("parent", "state", "goes"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=1,b=2", True),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a=é", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "", False),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True, False),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", "a=1", False),
        ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", "a=1", False),
        ("00-" + "é" * 32 + "-b7ad6b7169203331-01", "a=1", False),
        (None, "a=1", False),
    ],
)  # fmt: skip
def test_the_trace_is_forwarded(parent: str | None, state: str | bool, goes: bool) -> None:
    given: dict[str, Any] = {"tracestate": state} if parent is None else {"traceparent": parent,
                                                          "tracestate": state}  # fmt: skip
    lines = dict(_lines(trace_lines(Received(Event("1", "s", "t", extensions=given), "S", 1, 0.0))))
    result = lines["traceparent"]
    assert len(result) == 55
    if parent is not None and "-0000000000000000-" not in parent and parent[3:6] == "0af":
        assert (result[:36], result[36:52] != parent[36:52]) == (parent[:36], True)
    else:
        assert result[:35] != (parent or "")[:35]
    assert ("tracestate" in lines) is goes
