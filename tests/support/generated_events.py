"""Events as hypothesis makes them, how they are written in each mode, and how they are read again.

Nothing of the gateway's own codecs is used here: what it does is compared with this.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

import msgspec
from hypothesis import strategies as st

SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
Payload = tuple[str, Any] | None

_noncharacters = [chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)]
_noncharacters += [chr(code) for code in range(0xFDD0, 0xFDF0)]
characters = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters=_noncharacters
) | st.sampled_from(' %"\\,;:=/?#é€😀\u00a0\u2028\u200b\ufeff')
texts = st.text(characters, max_size=24)
named = st.text(characters, min_size=1, max_size=24)
# RFC 3986, as far as it can be put together of parts that stand for themselves.
_segment = st.lists(
    st.sampled_from([*"abz09-._~!$&'()*+,;=@", "%20", "%C3%A9", "%2f"]), min_size=1, max_size=12
).map("".join)
_path = st.lists(_segment, min_size=1, max_size=4).map("/".join)
_schemes = st.sampled_from(["http://h/", "https://u@h:1/", "urn:", "mailto:", "nats:", "a+b-c.d:/"])
_tails = st.sampled_from(["", "?", "?q=a/b?c", "#part", "?x#/y"])
uris = st.builds("{}{}{}".format, _schemes, _path, _tails) | st.sampled_from(
    ["http://[2001:db8::1]:8080/a", "http://user@example.com:80", "urn:uuid:6e8bc430-9c3a-11d9"]
)
sources = uris | st.builds("{}{}{}".format, st.sampled_from(["", "/", "./"]), _path, _tails)
times = st.builds(
    "{:%Y-%m-%dT%H:%M:%S}{}{}".format,
    st.datetimes(min_value=datetime(1000, 1, 1)),
    st.sampled_from(["", ".5", ".123456789", ".000000000000001"]),
    st.sampled_from(["Z", "+00:00", "-23:59", "+05:30"]),
)
_names = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789"), min_size=1, max_size=40)
_taken = frozenset(
    ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema",
     "data", "database64", "partitionkey", "traceparent", "tracestate")
)  # fmt: skip
extensions = st.dictionaries(
    _names.filter(lambda name: name not in _taken)
    | st.sampled_from(["sequence", "correlationid", "causationid", "comexampleveryverylongname"]),
    texts | st.integers(-(2**31), 2**31 - 1) | st.booleans(),
    max_size=4,
)
known = st.fixed_dictionaries(
    {},
    optional={
        "partitionkey": named,
        "traceparent": st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        "tracestate": st.sampled_from(["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1"]),
    },
)

_keys = st.text(max_size=8).filter(lambda key: key != "enrichment")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
# What a value becomes in other hands: bytes have to pass through.
odd_json = st.sampled_from(
    [b"1e999", b"-0", b"1.10", b"9" * 400, b'"\\ud800"', b'{"\\udfff":1}', b'{"a":1,"a":2}',
     b'{"a" : [ 1 ,\n\t2 ] }', b'"\\u0000"', b'"\\u2028\\/"', b"null", b"{}", b"[]", b'""',
     b"[" * 300 + b"]" * 300]
)  # fmt: skip
jsons = odd_json | st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    ),
    json_values, st.booleans(),
).filter(lambda raw: _utf8(raw))  # fmt: skip


def _utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass(frozen=True)
class Made:
    """An event: its attributes, and its payload as ``(json | text | bytes, bytes)``."""

    attributes: dict[str, Any]
    payload: tuple[str, bytes] | None = None

    def named(self, **attributes: Any) -> "Made":
        """The same with other attributes."""
        return replace(self, attributes=self.attributes | attributes)


_JSON_TYPES = [None, "application/json", "application/vnd.acme+json", "text/json",
               "Application/JSON; charset=UTF-8"]  # fmt: skip
_TEXT_TYPES = ["text/plain", "text/csv; charset=utf-8; header=present", "application/xml",
               "text/html", "image/svg+xml", "application/yaml"]  # fmt: skip
_BYTES_TYPES = [None, "application/octet-stream", "image/png", "text/plain; charset=iso-8859-1",
                "application/json; charset=utf-16", "multipart/mixed; boundary=x"]  # fmt: skip
_no_controls = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
payloads = (
    st.tuples(st.sampled_from([None, "application/json", "text/plain"]), st.none())
    | st.tuples(st.sampled_from(_JSON_TYPES), jsons.map(lambda raw: ("json", raw)))
    | st.tuples(
        st.sampled_from(_TEXT_TYPES), _no_controls.map(lambda text: ("text", text.encode()))
    )
    | st.tuples(st.sampled_from(_BYTES_TYPES), st.binary(max_size=60).map(lambda b: ("bytes", b)))
)


@st.composite
def events(draw: Any, root: str = "") -> Made:
    """Any event that CloudEvents allows, of a type below ``root``."""
    content_type, payload = draw(payloads)
    attributes: dict[str, Any] = {
        "specversion": "1.0", "id": draw(named), "source": draw(sources),
        "type": root + draw(named),
    }  # fmt: skip
    for name, strategy in (("subject", named), ("time", times), ("dataschema", uris)):
        value = draw(st.none() | strategy)
        if value is not None:
            attributes[name] = value
    if content_type is not None:
        attributes["datacontenttype"] = content_type
    return Made(attributes | draw(extensions) | draw(known), payload)


def structured(made: Made) -> bytes:
    """In the JSON format."""
    members = {name: json.dumps(value).encode() for name, value in made.attributes.items()}
    if made.payload is not None:
        kind, raw = made.payload
        if kind == "json":
            members["data"] = raw
        elif kind == "text":
            members["data"] = json.dumps(raw.decode()).encode()
        else:
            members["data_base64"] = json.dumps(base64.b64encode(raw).decode()).encode()
    return b"{%b}" % b",".join(b'"%b":%b' % (n.encode(), raw) for n, raw in members.items())


def written(value: Any) -> str:
    """An attribute's value as a header has it."""
    return quote(text_of(value), safe=SAFE)


def text_of(value: Any) -> str:
    """An attribute's value as a string: the canonical form of its type."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def binary(made: Made, *, nats: bool = False) -> tuple[dict[str, str], bytes]:
    """Headers and body."""
    headers = {f"ce-{name}": written(value) for name, value in made.attributes.items()}
    content_type = made.attributes.get("datacontenttype")
    headers.pop("ce-datacontenttype", None)
    if content_type is not None:
        headers["ce-datacontenttype" if nats else "content-type"] = (
            written(content_type) if nats else content_type
        )
    return headers, made.payload[1] if made.payload else b""


def meant(made: Made, *, texts_only: bool = False) -> tuple[dict[str, Any], Payload]:
    """What an event says, whichever way it was written.

    ``texts_only``: with the types that binary mode leaves, where every value is a string.
    """
    raw = None if made.payload is None else made.payload[1]
    attributes = dict(made.attributes)
    return _meant(attributes, made.payload and made.payload[0], raw, texts_only)


def read_structured(body: bytes, *, texts_only: bool = False) -> tuple[dict[str, Any], Payload]:
    """What an event in the JSON format says."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    data, encoded = members.pop("data", None), members.pop("data_base64", None)
    attributes = {name: json.loads(bytes(raw)) for name, raw in members.items()}
    if encoded is not None:
        raw = base64.b64decode(json.loads(bytes(encoded)), validate=True)
        return _meant(attributes, "bytes", raw, texts_only)
    if data is None:
        return _meant(attributes, None, None, texts_only)
    if is_json(attributes.get("datacontenttype")):
        return _meant(attributes, "json", bytes(data), texts_only)
    return _meant(attributes, "text", json.loads(bytes(data)).encode(), texts_only)


def read_binary(headers: Iterable[tuple[str, str]], body: bytes) -> tuple[dict[str, Any], Payload]:
    """What an event in binary mode says; all values are strings."""
    attributes: dict[str, Any] = {}
    for name, value in headers:
        if name == "content-type":
            attributes["datacontenttype"] = value
        elif name.startswith("ce-"):
            assert name[3:] not in attributes
            assert all(character in SAFE + "%" for character in value), value
            attributes[name[3:]] = unquote_to_bytes(value).decode()
    return _meant(attributes, "bytes", body, texts_only=True)


def is_json(content_type: str | None) -> bool:
    subtype = (content_type or "application/json").partition(";")[0].strip().lower()
    return subtype.endswith(("/json", "+json"))


def _meant(
    attributes: dict[str, Any], kind: str | None, raw: bytes | None, texts_only: bool
) -> tuple[dict[str, Any], Payload]:
    if texts_only:
        attributes = {name: text_of(value) for name, value in attributes.items()}
    content_type = attributes.get("datacontenttype")
    if raw is None or (raw == b"" and kind != "json"):
        return attributes, None  # binary mode does not tell one from the other
    if kind != "text" and is_json(content_type):
        try:
            read = exactly(raw)
        except ValueError:
            return attributes, ("bytes", raw)
        # Data that are JSON and have no type are of this one.
        return {"datacontenttype": "application/json"} | attributes, ("json", read)
    return attributes, ("bytes", raw)


def exactly(raw: bytes) -> Any:
    """A JSON value with its numbers as they were written. Raises ValueError."""
    return json.loads(raw.decode(), parse_int=_Number, parse_float=_Number)


class _Number(str):
    """A number's own text, which is not equal to the string of the same characters."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Number and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))
