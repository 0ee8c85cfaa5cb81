"""The event: CloudEvents 1.0.2 attributes with the payload left as the bytes it came in."""

import json
from enum import IntEnum
from typing import Any

import msgspec

CORE_ATTRIBUTES = frozenset(
    ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema")
)


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
    decoded, filled once on first need. ``bodies`` holds what was already made of it for
    receivers, by transformation, so that a body is built once however many webhooks share it.
    """

    event: Event
    stream: str
    seq: int
    time: float
    content: Any = msgspec.UNSET
    bodies: dict[str, tuple[bytes, bytes]] = {}
    enriched: Event | None = None

    def payload(self) -> Any:
        """The decoded JSON payload, or None where the payload is not JSON."""
        if self.content is msgspec.UNSET:
            is_json = self.event.kind is DataKind.JSON
            self.content = _decoded(self.event.data) if is_json else None
        return self.content

    def field(self, path: str) -> Any:
        """The value at ``source``, ``subject``… or at a path into data, ``data.changes.branch``.

        Gives msgspec.UNSET where there is none: a field that is null is not a missing one.
        """
        name, _, rest = path.partition(".")
        if name != "data":
            value = self.event.attribute(path)
            return msgspec.UNSET if value is None else value
        at = self.payload()
        for token in rest.split(".") if rest else ():
            if isinstance(at, dict) and token in at:
                at = at[token]
            elif isinstance(at, list) and token.isdecimal() and int(token) < len(at):
                at = at[int(token)]
            else:
                return msgspec.UNSET
        return at


def _decoded(data: bytes) -> Any:
    """A JSON payload as Python values; None where it goes beyond what Python can hold."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        try:
            return json.loads(data)  # slower, and knows numbers like 1e999
        except (ValueError, RecursionError):
            return None
