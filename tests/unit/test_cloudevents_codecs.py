"""The codecs of CloudEvents alone: encoded and decoded events are equal."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.cloudevents.binary_mode import (
    decode_header,
    encode_header,
    from_binary,
    goes_binary,
    to_binary,
)
from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.cloudevents.json_format import from_batch, from_structured, to_structured
from event_gateway.core.cloudevents.media_types import (
    check_content_type,
    declared_encoding,
    is_media_type,
    mode_of,
)
from event_gateway.core.cloudevents.nats_message import from_message
from event_gateway.core.errors import InvalidEvent
from support.examples import examples
from support.generated_events import (
    GeneratedEvent,
    binary,
    canonical,
    events,
    read_binary,
    read_structured,
    structured,
    texts,
)

HEAD = '{"specversion":"1.0","id":"1","source":"s","type":"t"'
PLACE: dict[str, Any] = {"subject": "a.b", "stream": "S", "seq": 1, "time": 1.0}


def _lines(head: bytes) -> list[tuple[str, str]]:
    """Header lines as a receiver parses them."""
    lines = head.decode().removesuffix("\r\n").split("\r\n")
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


@settings(max_examples=examples(1500))
@given(generated=events())
def test_events_are_encoded_and_decoded_unchanged(generated: GeneratedEvent) -> None:
    body = structured(generated)
    headers, payload = binary(generated)
    nats_headers, _ = binary(generated, nats=True)
    content_type = headers.get("content-type")
    ((of_batch, _),) = from_batch(b"[%b]" % body)
    assert isinstance(of_batch, Event)
    with_types = [
        from_structured(body), of_batch,
        from_message({"content-type": "Application/CloudEvents+JSON"}, body, **PLACE).event,
        from_message(None, b" \n" + body, **PLACE).event,
    ]  # fmt: skip
    of_texts = [
        from_binary(headers.items(), content_type, payload),
        from_message(nats_headers, payload, **PLACE).event,
    ]
    for event in with_types:
        assert read_structured(to_structured(event)) == canonical(generated)
    for event in with_types + of_texts:
        expected = canonical(generated, texts_only=True)
        assert read_structured(to_structured(event), texts_only=True) == expected
        assert from_structured(to_structured(event)) == event
        assert goes_binary(event)
        lines, out = to_binary(event)
        assert read_binary(_lines(lines), out) == expected


@settings(max_examples=examples(300))
@given(generated=events())
def test_data_is_copied_without_encoding_it_again(generated: GeneratedEvent) -> None:
    kind, raw = generated.payload or ("", b"")
    if kind == "json" and b"\\u" not in raw:
        assert from_structured(structured(generated)).data == raw
        assert b'"data":' + raw in to_structured(from_structured(structured(generated)))
    headers, payload = binary(generated)
    event = from_binary(headers.items(), headers.get("content-type"), payload)
    assert event.data == payload
    assert to_binary(event)[1] == payload


@settings(max_examples=examples(1000))
@given(value=texts | st.integers() | st.booleans())
def test_header_values(value: str | int | bool) -> None:
    encoded = encode_header(value)
    assert all("!" <= character <= "~" and character != '"' for character in encoded)
    assert decode_header(encoded, "ce-x") == (str(value).lower() if value is True or value is False
                                              else str(value))  # fmt: skip


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"), ("%c3%a9", "é"), ("é", "é"), ("", ""),
        ('"a b"', "a b"), ('"a \\"b\\" \\\\"', 'a "b" \\'), ('"%41"', "A"), ("%2541", "%41"),
        ('"', '"'), ("a+b", "a+b"),
    ],
)  # fmt: skip
def test_headers_are_decoded(value: str, read: str) -> None:
    assert decode_header(value, "ce-x") == read


@pytest.mark.parametrize(
    "value", ["%", "%4", "%zz", "100%", "%C0%A0", "%ED%A0%80", "%FF", "%E2%82", "\ufffd", "a\ud800"]
)
def test_a_header_that_is_not_text_is_refused(value: str) -> None:
    with pytest.raises(InvalidEvent, match="ce-x"):
        decode_header(value, "ce-x")


def test_the_content_type_decides_the_mode() -> None:
    for media in ("application/cloudevents", "APPLICATION/CloudEvents+JSON; charset=UTF-8"):
        assert mode_of(media) == "structured"
    assert mode_of('application/cloudevents-batch+json;charset="utf-8"') == "batch"
    for other in (None, "", "application/json", "text/plain; charset=utf-16", ";"):
        assert mode_of(other) == "binary"
    for media in ("application/cloudevents+avro", "application/cloudevents-batch+xml",
                  "application/cloudevents+json; charset=latin-1"):  # fmt: skip
        with pytest.raises(InvalidEvent) as caught:
            mode_of(media)
        assert caught.value.reason == "unsupported"
        with pytest.raises(InvalidEvent, match="not supported"):
            from_message({"Content-Type": media}, (HEAD + "}").encode(), **PLACE)
    with pytest.raises(InvalidEvent, match="no batches"):
        from_message({"Content-Type": "application/cloudevents-batch+json"}, b"[]", **PLACE)


def test_repeated_headers_are_refused() -> None:
    four = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    for more in ({"CE-ID": "2"}, {"Ce-Id": "1"}, {"Eg-Repeated": "ce-id"},
                 {"Content-Type": "text/plain", "content-type": "text/plain"}):  # fmt: skip
        with pytest.raises(InvalidEvent, match="twice"):
            from_message(four | more, b"", **PLACE)
    with pytest.raises(InvalidEvent, match="ce-data"):
        from_binary((four | {"ce-data": "x"}).items(), None, b"")


def test_without_a_content_type_the_payload_decides() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    for body, kind in ((b'{"a":1}', DataKind.JSON), (b" 7 ", DataKind.JSON),
                 (b"{", DataKind.BINARY),
                       (b"\xff", DataKind.BINARY), (b"", DataKind.NONE)):  # fmt: skip
        for content_type in (None, ""):
            event = from_binary(headers.items(), content_type, body)
            assert (event.kind, event.datacontenttype, event.data) == (kind, None, body)


@pytest.mark.parametrize(
    ("content_type", "body", "encoding"),
    [
        ("text/plain; charset=ISO-8859-1", "é".encode("latin-1"), "iso-8859-1"),
        ('text/plain; a=b ; Charset="utf-16"', "é".encode("utf-16"), "utf-16"),
        ("application/json; charset=utf-16", '{"a":}'.encode("utf-16"), "utf-16"),
        ("application/json; charset=punycode", b"{}\xff", "punycode"),
        ("application/xml", '<?xml version="1.0" encoding="iso-8859-1"?><é/>'.encode("latin-1"),
         "iso-8859-1"),
        ("application/soap+xml", b"<?xml version='1.0' encoding='windows-1252' ?><a/>",
         "windows-1252"),
        ("text/plain; charset=x-unknown", b"abc", "x-unknown"),
    ],
)  # fmt: skip
def test_text_in_other_encodings_is_kept_as_bytes(
    content_type: str, body: bytes, encoding: str
) -> None:
    assert declared_encoding(content_type, body) == encoding
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    event = from_binary(headers.items(), content_type, body)
    assert (event.kind, event.data) == (DataKind.BINARY, body)
    assert to_binary(from_structured(to_structured(event)))[1] == body


ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "s", "type": "t"}


@pytest.mark.parametrize(
    ("content_type", "body", "value"),
    [
        ("application/json", '{"a":"é"}'.encode(), '{"a":"é"}'),
        ("application/vnd.x+json; charset=UTF-8", b" [1.10] ", " [1.10] "),
        ("application/json; charset=iso-8859-1", '{"a":"é"}'.encode("latin-1"), '{"a":"é"}'),
        ('text/json;charset="utf-16"', '{"a":1.50}'.encode("utf-16"), '{"a":1.50}'),
        ("application/json; charset=utf-32be", "7".encode("utf-32be"), "7"),
        ("application/json; charset=ebcdic", b'{"a":1}', '{"a":1}'),
    ],
)
def test_json_is_json_however_it_comes_in(content_type: str, body: bytes, value: str) -> None:
    """As a body, or in base64; receivers in binary mode get the same bytes."""
    headers = {f"ce-{name}": text for name, text in ATTRIBUTES.items()}
    encoded = {"datacontenttype": content_type, "data_base64": base64.b64encode(body).decode()}
    for event in (
        from_binary(headers.items(), content_type, body),
        from_structured(json.dumps(ATTRIBUTES | encoded).encode()),
    ):
        assert (event.kind, event.data.decode()) == (DataKind.JSON, value)
        again = from_structured(to_structured(event))
        assert (again.kind, again.data.decode()) == (DataKind.JSON, value.strip())
        assert to_binary(event)[1] == body
    for other in ("text/plain", None, "application/octet-stream"):
        kept = encoded | {"datacontenttype": other}
        assert from_structured(json.dumps(ATTRIBUTES | kept).encode()).kind is DataKind.BINARY


def test_json_that_its_declared_encoding_does_not_have_is_escaped() -> None:
    event = Event("1", "s", "t", datacontenttype="application/json; charset=iso-8859-1",
                  data='{"é":"€😀"}'.encode(), kind=DataKind.JSON)  # fmt: skip
    assert to_binary(event)[1] == b'{"\xe9":"\\u20ac\\ud83d\\ude00"}'


MEDIA_TYPES = (
    "application/json", "text/plain; charset=utf-8", 'text/plain;a="b;\\"c"; d=e', "a/b;",
    "A/B ; c=d", "application/vnd.acme.x-y+json;v=1", "x/1!#$&^_.+-",
    "application/json ;\tcharset=utf-8",
)  # fmt: skip
NOT_MEDIA_TYPES = (
    "xyz", "application/", "/json", "a/b/c", "a b/c", "text/plain charset=utf-8", "text/*", "*/*",
    "text/plain; charset", "text/pl\u00e4in", "text/plain; a=\u00e4", 'text/plain; a="\u00e4"',
    "a/b, c/d", "a/b;c=d e", 'a/b;c="d', " a/b", "a/b ", "-a/b", "a/" + "b" * 128, "a/b;=c",
    "a/b;c=", "a/b\r\nx: y",
)  # fmt: skip


def test_what_is_no_media_type_is_refused() -> None:
    for text in MEDIA_TYPES:
        assert is_media_type(text), text
        check_content_type(Event("1", "s", "t", datacontenttype=text))
    for text in NOT_MEDIA_TYPES:
        assert not is_media_type(text), text
        with pytest.raises(InvalidEvent, match="is no media type"):
            check_content_type(Event("1", "s", "t", datacontenttype=text))
        # An earlier version may have stored such an event.
        assert not goes_binary(Event("1", "s", "t", datacontenttype=text))
    check_content_type(Event("1", "s", "t"))
    for hostile in ("a/" + "b" * 60_000, "a/b;" * 15_000, "a/b" + ' ;c="\\' * 8000):
        assert not is_media_type(hostile + "\0")


def test_xml_and_text_in_utf8_are_text() -> None:
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t"}
    for content_type, body in (
        ("application/xml", '<?xml version="1.0" encoding="UTF-8"?><é/>'),
        ("application/xml", '<?xml version="1.0"?><a encoding="latin-1"/>'),
        ("application/xml; charset=utf-8", '<?xml version="1.0" encoding="latin-1"?><é/>'),
        ("text/plain; charset=us-ascii", "abc"),
    ):
        event = from_binary(headers.items(), content_type, body.encode())
        assert (event.kind, event.data) == (DataKind.TEXT, body.encode())
    assert from_binary(headers.items(), "text/plain", b"\xff").kind is DataKind.BINARY


def test_text_is_sent_in_its_declared_encoding() -> None:
    latin = f'{HEAD},"datacontenttype":"text/plain; charset=iso-8859-1","data":"é"}}'
    assert to_binary(from_structured(latin.encode()))[1] == b"\xe9"
    for content_type in ("text/plain; charset=iso-8859-1", "text/plain; charset=idna"):
        event = from_structured(f'{HEAD},"datacontenttype":"{content_type}","data":"€"}}'.encode())
        with pytest.raises(ValueError, match=r"encode|written"):
            to_binary(event)


def test_an_event_with_an_event_as_payload_is_sent_structured() -> None:
    inner = f'{HEAD},"datacontenttype":"application/cloudevents+json","data":{HEAD}}}}}'
    event = from_structured(inner.encode())
    assert not goes_binary(event)
    assert to_structured(event) == inner.encode()
