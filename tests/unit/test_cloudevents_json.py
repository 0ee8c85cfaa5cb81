"""Unusual and invalid JSON: repeated names, halves of surrogate pairs, numbers, depth."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.cloudevents.binary_mode import from_binary, to_binary
from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from support.examples import examples
from support.generated_events import (
    GeneratedEvent,
    binary,
    events,
    structured,
)

HEAD = '{"specversion":"1.0","id":"1","source":"s","type":"t"'
PLACE: dict[str, Any] = {"subject": "a.b", "stream": "S", "seq": 1, "time": 1.0}


def _refused(body: str | bytes) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as caught:
        from_structured(body.encode() if isinstance(body, str) else body)
    return caught.value


# Repeated names, in all forms that can hide them.
@pytest.mark.parametrize(
    "more",
    [
        ',"id":"2"', ',"id":"1"', ',"id":null', ',"subject":"a","subject":"b"', ', "type" : "t"',
        ',"specversion":"1.0"', ',"data":1,"data":2', ',"data":{"a":1},"data":{"a":1}',
        ',"x":1,"x":2', ',"x":null,"x":"a"', ',"\\u0069d":"2"',
        ',"data_base64":"","data_base64":""',
        ',"x":true,"subject":"\\"","x":true', ',"data":"\\"","x":"","x":""', ',"i\\u0064":"é"',
        ',"traceparent":"a","traceparent":""',
    ],
)  # fmt: skip
def test_a_repeated_name_is_refused(more: str) -> None:
    error = _refused(HEAD + more + "}")
    assert error.reason == "invalid"
    assert "2 times" in error.detail
    with pytest.raises(InvalidEvent, match="2 times"):
        from_message(None, (HEAD + more + "}").encode(), **PLACE)
    ((item, _),) = from_batch((f"[{HEAD}{more}}}]").encode())
    assert isinstance(item, InvalidEvent)


def test_names_that_only_look_repeated() -> None:
    for more in (',"data":{"id":"1","id":"2"}', ',"subject":"\\"id\\":"', ',"x":"\\"\\"\\""',
                 ', "data" : [{"a":"b","a":"\\"c\\""}] ',
                 ',"subject":null,"data":"\\"id"'):  # fmt: skip
        assert from_structured((HEAD + more + "}").encode()).id == "1"
    # A message that is not a CloudEvent is data as a whole.
    plain = from_message(None, b'{"id":"1","id":"2"}', **PLACE).event
    assert (plain.id, plain.data) == ("S-1", b'{"id":"1","id":"2"}')
    # Except an event that lacks only attributes that the log knows.
    with pytest.raises(InvalidEvent, match="2 times"):
        from_message(None, b'{"type":"a.b","source":"s","x":"1","x":"2"}', **PLACE)


@settings(max_examples=examples(500))
@given(generated=events(), twice=st.integers(0, 20), spaces=st.booleans())
def test_any_repeated_name_is_refused(generated: GeneratedEvent, twice: int, spaces: bool) -> None:
    body = structured(generated)
    assert from_structured(body)
    names = [*generated.attributes, *(["data"] if b'"data":' in body else [])]
    name = names[twice % len(names)]
    again = b'%b"%b"%b:null}' % (b", " if spaces else b",", name.encode(), b" " if spaces else b"")
    assert "2 times" in _refused(body[:-1] + again).detail or name == "data"
    if name == "data":
        _refused(body[:-1] + again)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\xef\xbb\xbf" + (HEAD + "}").encode(), "byte order mark"),
        (b"\xff\xfe" + (HEAD + "}").encode("utf-16-le"), "not UTF-8"),
        ((HEAD + ',"data":"').encode() + b'\xed\xa0\x80"}', "not UTF-8"),
        ((HEAD + ',"data":' + "[" * 5000 + "]" * 5000 + "}").encode(), "not a JSON object"),
        ((HEAD + ',"data":NaN}').encode(), "not a JSON object"),
        ((HEAD + ',"data":"\x01"}').encode(), "not a JSON object"),
        ((HEAD + "}x").encode(), "not a JSON object"), (b"", "not a JSON object"),
        (b"[]", "not a JSON object"), (b"null", "not a JSON object"),
        (b"\x00", "not a JSON object"),
    ],
)  # fmt: skip
def test_invalid_json(body: bytes, message: str) -> None:
    error = _refused(body)
    assert (error.reason, message in error.detail) == ("malformed", True), error.detail


def test_data_that_other_decoders_would_change() -> None:
    for raw in (b"1e999", b"9" * 5000, b'{"a":1,"a":2}', b"[" * 800 + b"]" * 800,
                b'"\\u0000"', b"-0.0e-999"):  # fmt: skip
        event = from_structured(f'{HEAD},"data":'.encode() + raw + b"}")
        assert event.data == raw
        assert to_structured(event).endswith(b'"data":' + raw + b"}")
        assert to_binary(event)[1] == raw


@given(generated=events())
@settings(max_examples=examples(200))
def test_the_usual_event_is_written_as_one_with_extensions_is(generated: GeneratedEvent) -> None:
    """Both have a way of their own."""
    event = from_structured(structured(generated))
    bare = msgspec.structs.replace(event, extensions={})
    more = msgspec.structs.replace(event, extensions={"x": 1})
    members = msgspec.json.decode(to_structured(more), type=dict[str, msgspec.Raw])
    del members["x"]
    assert to_structured(bare) == msgspec.json.encode(members)


HALVES = [b'"\\ud800"', b'"\\udc00"', b'{"\\ud800x":1}', b'"\\ud800\\ud800\\udc00"',
          b'["\\\\\\udfff"]',
          b'["\\ud83d\\ude00","a\\ud83d"]']  # fmt: skip


@pytest.mark.parametrize("raw", HALVES)
@pytest.mark.parametrize("more", ["", ',"datacontenttype":"application/json","subject":"x"'])
def test_half_a_surrogate_pair_in_data_is_sent_as_bytes(raw: bytes, more: str) -> None:
    body = f'{{"data" : %b ,{HEAD[1:]}{more}, "x":1}}'.encode().replace(b"%b", raw)
    headers, payload = binary(
        GeneratedEvent(
            {"specversion": "1.0", "id": "1", "source": "s", "type": "a.b"}, ("json", raw)
        )
    )
    ((of_batch, _),) = from_batch(b"[%b]" % body)
    for event in (
        from_structured(body), of_batch, from_message(None, body, **PLACE).event,
        from_binary(headers.items(), "application/json", payload),
        from_binary(headers.items(), None, payload),
        from_message(None, raw, **PLACE).event if raw[:1] == b"{" else of_batch,
    ):  # fmt: skip
        assert isinstance(event, Event)
        assert (event.data, event.kind) == (raw, DataKind.BINARY)
        assert from_structured(to_structured(event)) == event
        assert to_binary(event)[1] == raw


def test_half_a_surrogate_pair_anywhere_else_is_refused() -> None:
    for more in (',"subject":"\\ud800"', ',"x":"\\udfff"', ',"\\ud800":"x"',
                 ',"x":"a","x":"\\ud800"',
                 ',"datacontenttype":"text/plain","data":"\\ud800"', ',"data":"\\ud800","data":1',
                 ',"data":"\\ud800","data_base64":""', ',"x":"\\ud83d\\ude00\\ud83d"',
                 ',"data":"\\ud8zz"', ',"data":"\\ud800'):  # fmt: skip
        assert _refused(HEAD + more + "}").reason in ("invalid", "malformed")
