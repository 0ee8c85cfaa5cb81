"""The event: its CloudEvents 1.0.2 attributes, and its payload as the bytes that came in."""

import json
import math
from enum import IntEnum
from typing import Any

import msgspec

from event_gateway.core.cloudevents.trace_context import TraceContext

CORE_ATTRIBUTES = frozenset(
    ("id", "source", "type", "specversion", "subject", "time", "datacontenttype", "dataschema")
)


class DataKind(IntEnum):
    """How the payload is written in the JSON format."""

    NONE = 0
    JSON = 1  # ``data``: the bytes are a JSON value
    TEXT = 2  # ``data``: the bytes are UTF-8 text, written as a JSON string
    BINARY = 3  # ``data_base64``


Extension = str | int | bool

MAX_DIGITS = 1000  # of an integer that is read exactly: the time to read one grows with the square

# Origins of events. The other origins are the names of sources.
NATS = "nats"
HTTP = "http"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One CloudEvent.

    ``data`` is the body in binary mode: JSON text if ``kind`` is JSON, else the plain bytes.
    ``time`` is the publisher's own text.
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
        """A context attribute or an extension by name; None if the event has none."""
        if name in CORE_ATTRIBUTES:
            return "1.0" if name == "specversion" else getattr(self, name)
        return self.extensions.get(name)


class Received(msgspec.Struct):
    """An event with its position in the log.

    ``time`` is when the log stored it, in seconds since the epoch. ``origin`` is how it came in:
    ``nats`` (captured), ``http``, or the name of a source. ``content`` caches the decoded payload,
    ``activation`` the variables that expressions read; ``expression_work`` is what the costly ones
    of these have cost, in bytes read. ``attribute_size`` caches the length of the attributes in
    characters, ``fault`` is the latest error of a condition inside a group of filters, for the
    index to count. ``duplicate_of`` is the position of the event of the same source and id that was
    routed shortly before; None if this is the first. ``undated``: the publisher gave no time, the
    event's is when the log stored it. ``unwanted``: no webhook or subscriber reads the event now,
    so it is not enriched yet. ``bodies`` caches the bodies made for receivers, or being made, by
    transformation: webhooks share them. ``trace`` is the trace of its message; once it has been
    asked for, that of the event (:func:`trace_of`).
    """

    event: Event
    stream: str
    seq: int
    time: float
    origin: str = NATS
    content: tuple[Any] | None = None
    activation: Any = None
    expression_work: int = 0
    attribute_size: int | None = None
    fault: Exception | None = None
    bodies: dict[str, Any] = {}
    enriched: Event | None = None
    duplicate_of: tuple[str, int] | None = None
    undated: bool = False
    unwanted: bool = False
    trace: TraceContext | None = None

    def payload(self) -> Any:
        """The payload: JSON decoded, text as str, else bytes; msgspec.UNSET if there is none, or if
        Python cannot decode it."""
        if self.content is None:
            self.content = (_content(self.event),)
        return self.content[0]


def _content(event: Event) -> Any:
    if event.kind is DataKind.JSON:
        return decoded(event.data)
    if event.kind is DataKind.TEXT:
        return event.data.decode()
    return msgspec.UNSET if event.kind is DataKind.NONE else event.data


def decoded(data: bytes, beyond: int | float = math.inf) -> Any:
    """A JSON payload as Python values; UNSET if it is nested too deep for Python.

    Integers are exact. ``beyond`` stands for a number that a double cannot express (1e999, or an
    integer of more than MAX_DIGITS digits); it gets the number's sign.
    """

    def number(text: str) -> int | float:
        whole = len(text) <= MAX_DIGITS and text.removeprefix("-").isdigit()
        value = int(text) if whole else float(text)
        if isinstance(value, float) and math.isinf(value):
            return -beyond if value < 0 else beyond
        return value

    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        try:
            return json.loads(data, parse_int=number, parse_float=number)  # slower
        except (ValueError, RecursionError):
            return msgspec.UNSET
