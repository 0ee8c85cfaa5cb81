"""Events as they come in: structured, binary, in batches, and as NATS messages."""

import contextlib
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.cloudevents.binary_mode import from_binary
from event_gateway.core.cloudevents.enrichment import splice
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.media_types import mode_of
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.matching.path import path_of
from fuzz.pieces import bytes_of

_ATTRIBUTES = [
    b'"specversion":"1.0"', b'"id":"1"', b'"source":"s"', b'"type":"a.b"', b'"subject":"x"',
    b'"time":"2026-01-01T00:00:00Z"', b'"datacontenttype":"application/json"',
    b'"datacontenttype":"text/plain"', b'"dataschema":"urn:x"', b'"ext":1', b'"ext":true',
    b'"data":{"a":[1,2]}', b'"data":"text"', b'"data":null', b'"data_base64":"eA=="',
    b'"data_base64":"%"', b'"traceparent":""',
]  # fmt: skip
_WHOLE = b'{"specversion":"1.0","id":"1","source":"s","type":"a.b"'
_JSON = bytes_of(
    [b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\u", b"\\ud800", b"1e999", b"-0", b"null",
     b"true", b" ", b"\xef\xbb\xbf", b"\xff", _WHOLE, _WHOLE + b"}", *_ATTRIBUTES],
)  # fmt: skip
_members = st.lists(st.sampled_from(_ATTRIBUTES) | _JSON, max_size=8).map(b",".join)
_objects = _members.map(lambda members: b"{" + members + b"}") | _members.map(
    lambda members: _WHOLE + b"," + members + b"}"
)
_structured = _objects | _objects | _JSON
_batches = st.lists(_structured, max_size=4).map(lambda events: b"[" + b",".join(events) + b"]")
_values = st.sampled_from(
    ["1.0", "1", "s", "a.b", "2026-01-01T00:00:00Z", "%41", "%zz", '"q"', "a\\b", "é", "", " x "]
) | st.text(max_size=8)
_headers = st.dictionaries(
    st.sampled_from(
        ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time", "ce-subject", "ce-ext",
         "ce-dataschema", "ce-datacontenttype", "ce-", "ce-Bad", "CE-ID", "ce-data", "x"]
    ),
    _values,
    max_size=9,
)  # fmt: skip
_whole_headers = _headers.map(
    lambda more: {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "a.b"} | more
)
_content_types = st.sampled_from(
    [None, "", ";", "application/json", "text/plain; charset=latin1", "application/cloudevents",
     "application/cloudevents+json", "application/cloudevents-batch+json", "a/b+json", "a/b; =",
     "application/cloudevents+json; charset=utf-16", "Application/CloudEvents+JSON"]
) | st.text(max_size=12)  # fmt: skip


def _check(event: Event | InvalidEvent) -> None:
    """An event can be read, enriched, encoded, and decoded again as the same event."""
    if isinstance(event, InvalidEvent):
        assert event.detail
        return
    received = Received(event, "S", 1, 0.0)
    path_of("data.a[*].b").values(received)
    again = from_structured(to_structured(event))
    assert (again.id, again.source, again.type) == (event.id, event.source, event.type)
    assert again.time == event.time
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        splice(event.data, b"{}")  # data that nobody can read is forwarded unchanged


def _parsed(parse: Any, *arguments: Any, **more: Any) -> Event | InvalidEvent:
    try:
        event: Event = parse(*arguments, **more)
    except InvalidEvent as error:
        return error
    return event


@given(_structured)
def structured_mode(body: bytes) -> None:
    """One event in JSON. A batch of it alone has the same verdict."""
    event = _parsed(from_structured, body)
    _check(event)
    if isinstance(event, Event):
        json.loads(to_structured(event))
        ((only, _),) = from_batch(b"[" + body + b"]")
        assert isinstance(only, Event)
        assert only.id == event.id


@given(_headers | _whole_headers, _content_types, st.binary(max_size=16) | _structured)
def binary_mode(headers: dict[str, str], content_type: str | None, body: bytes) -> None:
    """An event whose attributes are headers."""
    with contextlib.suppress(InvalidEvent):
        mode_of(content_type)
    _check(_parsed(from_binary, list(headers.items()), content_type, body))


@given(_batches | _JSON)
def batch_mode(body: bytes) -> None:
    """A batch: each item is an event, or has a reason."""
    try:
        items = from_batch(body)
    except InvalidEvent as error:
        assert error.detail
        return
    for item, _ in items:
        _check(item)


@given(_headers | _whole_headers, _content_types, _structured, st.text(max_size=8))
def nats_message(
    headers: dict[str, str], content_type: str | None, body: bytes, subject: str
) -> None:
    """A message that was captured from NATS, in any mode, or what is no CloudEvent yet."""
    given = headers | ({"Content-Type": content_type} if content_type is not None else {})
    place: dict[str, Any] = {"stream": "S", "seq": 1, "time": 1.0}
    try:
        received = from_message(given, body, subject=subject or "a.b", **place)
    except InvalidEvent as error:
        assert error.detail
        return
    _check(received.event)
