"""The event: CloudEvents 1.0.2 attributes with the payload left as the bytes it came in."""

import json
import re
from enum import IntEnum
from typing import Any

import msgspec

from event_gateway.core.errors import InvalidEvent

MAX_ATTRIBUTE = 8192
MAX_EXTENSIONS = 64
CORE_ATTRIBUTES = frozenset(
    ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema")
)
_NAME = re.compile(r"[a-z0-9]{1,64}")
# RFC 3339, section 5.6; the text itself is kept, so that nanoseconds and offsets survive.
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt]"
    r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
)
# C0 and C1 controls, lone surrogates and noncharacters (CloudEvents 1.0.2, "Type System").
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class DataKind(IntEnum):
    """How the payload stands in the JSON format."""

    NONE = 0
    JSON = 1  # ``data``: the bytes are a JSON value
    TEXT = 2  # ``data``: the bytes are UTF-8 text, written as a JSON string
    BINARY = 3  # ``data_base64``


Extension = str | int | bool


class Event(msgspec.Struct, frozen=True):
    """One CloudEvent.

    ``data`` is what the body would be in binary mode: JSON text for JSON content, the plain bytes
    for all else; ``kind`` says which. ``time`` keeps the publisher's own text.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, Extension] = {}
    data: bytes = b""
    kind: DataKind = DataKind.NONE

    def attribute(self, name: str) -> Extension | None:
        """A context attribute or an extension by name; None where the event has none."""
        if name in CORE_ATTRIBUTES:
            return "1.0" if name == "specversion" else getattr(self, name)
        return self.extensions.get(name)


class Received(msgspec.Struct):
    """An event at its place in the log.

    ``time`` is when the log took it, in seconds since the epoch. ``content`` is the payload
    decoded, filled once on first need, and ``activation`` what expressions see of the event.
    ``bodies`` holds what was already made of it for receivers, or is being made, by transformation,
    so that a body is built once however many webhooks share it.
    """

    event: Event
    stream: str
    seq: int
    time: float
    content: tuple[Any] | None = None
    activation: Any = None
    bodies: dict[str, Any] = {}
    enriched: Event | None = None

    def payload(self) -> Any:
        """The payload: JSON decoded, text as it is, else bytes; msgspec.UNSET where there is none,
        or none that can be held."""
        if self.content is None:
            self.content = (_content(self.event),)
        return self.content[0]


def _content(event: Event) -> Any:
    if event.kind is DataKind.JSON:
        return decoded(event.data)
    if event.kind is DataKind.TEXT:
        return event.data.decode()
    return msgspec.UNSET if event.kind is DataKind.NONE else event.data


def decoded(data: bytes) -> Any:
    """A JSON payload as Python values; UNSET where it goes beyond what Python can hold."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        try:
            return json.loads(data)  # slower, and knows numbers like 1e999
        except (ValueError, RecursionError):
            return msgspec.UNSET


def check_event(event: Event) -> Event:
    """The same event, or InvalidEvent with all that is wrong with its attributes."""
    if _plainly_right(event):
        return event
    wrong = [
        f"{name} is missing or empty"
        for name, value in (("id", event.id), ("source", event.source), ("type", event.type))
        if not value
    ]
    for name in ("subject", "datacontenttype", "dataschema"):
        if getattr(event, name) == "":
            wrong.append(f"{name} must not be empty when present")
    if event.time is not None and _TIME.fullmatch(event.time) is None:
        wrong.append(f"time {event.time[:64]!r} is no RFC 3339 timestamp")
    if len(event.extensions) > MAX_EXTENSIONS:
        wrong.append(f"more than {MAX_EXTENSIONS} extension attributes")
    for name in ("id", "source", "type", "subject", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        if value is not None:
            _check_text(name, value, wrong)
    for name, value in event.extensions.items():
        if _NAME.fullmatch(name) is None:
            wrong.append(f"{name[:64]!r} is no attribute name: only a-z and 0-9 are allowed")
        elif isinstance(value, str):
            _check_text(name, value, wrong)
    if wrong:
        raise InvalidEvent("invalid", "; ".join(wrong[:16]))
    return event


def _plainly_right(event: Event) -> bool:
    """Whether nothing is wrong with an event, as far as one look tells."""
    subject, content_type, schema = event.subject, event.datacontenttype, event.dataschema
    if not (event.id and event.source and event.type) or "" in (subject, content_type, schema):
        return False
    if event.time is not None and _TIME.fullmatch(event.time) is None:
        return False
    text = f"{event.id}{event.source}{event.type}{subject}{content_type}{schema}"
    if event.extensions:
        if len(event.extensions) > MAX_EXTENSIONS:
            return False
        for name, value in event.extensions.items():
            if _NAME.fullmatch(name) is None:
                return False
            text += str(value)
    return len(text) <= MAX_ATTRIBUTE and text.isprintable()


def _check_text(name: str, value: str, wrong: list[str]) -> None:
    if len(value) > MAX_ATTRIBUTE:
        wrong.append(f"{name} is longer than {MAX_ATTRIBUTE} characters")
    elif not value.isprintable() and _FORBIDDEN.search(value):
        wrong.append(f"{name} holds a control character or a code point that is no character")
