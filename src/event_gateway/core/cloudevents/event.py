"""The event: CloudEvents 1.0.2 attributes with the payload left as the bytes it came in."""

import json
from enum import IntEnum
from typing import Any

import msgspec

CORE_ATTRIBUTES = frozenset(
    ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema")
)


class DataKind(IntEnum):
    """How the JSON format writes the payload."""

    NONE = 0
    JSON = 1  # ``data``: the bytes are a JSON value
    TEXT = 2  # ``data``: the bytes are UTF-8 text, written as a JSON string
    BINARY = 3  # ``data_base64``


Extension = str | int | bool

# Where an event came from. Other origins are the names of sources.
NATS = "nats"
HTTP = "http"


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

    ``time`` is when the log took it, in seconds since the epoch. ``origin`` is where it came from:
    ``nats`` (captured), ``http``, or the name of a source. ``content`` is the payload
    decoded, filled once on first need, and ``activation`` what expressions see of the event.
    ``bodies`` holds what was already made of it for receivers, or is being made, by transformation,
    so that a body is built once however many webhooks share it.
    """

    event: Event
    stream: str
    seq: int
    time: float
    origin: str = NATS
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
