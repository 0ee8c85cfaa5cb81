"""Events as JSON text: what is missing is filled in, and counters are put into a template."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from event_gateway.core.text.times import rfc3339

# The number of an event in its input, a line of a file or a count, and its JSON text.
Event = tuple[int, bytes]
SOURCE = "event-gateway-cli"  # of events without one
_COUNTER = re.compile(rb"\{\{ *(n|uuid|now) *\}\}")


class NotAnEvent(Exception):
    """The text cannot be sent; the reason is one line."""


class _Attributes(msgspec.Struct):
    specversion: str = ""
    id: str = ""
    source: str = ""
    type: str = ""


_attributes = msgspec.json.Decoder(_Attributes).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What an event gets that lacks it. ``type`` None: it must have one of its own."""

    type: str | None = None
    source: str = SOURCE
    subject: str | None = None
    data: str | None = None  # JSON
    extensions: tuple[tuple[str, str], ...] = ()

    def event(self) -> bytes:
        """An event of these alone, without an id."""
        members: list[tuple[str, str]] = [
            ("type", json.dumps(self.type)),
            ("source", json.dumps(self.source)),
            ("time", '"{{now}}"'),
            *((name, json.dumps(value)) for name, value in self.extensions),
        ]
        if self.subject is not None:
            members.insert(2, ("subject", json.dumps(self.subject)))
        if self.data is not None:
            members += [("datacontenttype", '"application/json"'), ("data", self.data)]
        return b"{%b}" % ",".join(f"{json.dumps(name)}:{value}" for name, value in members).encode()


def complete(text: bytes, defaults: Defaults) -> bytes:
    """The event with specversion, id, type and source, which it may lack. What it has stays as it
    is, byte for byte. Raises NotAnEvent."""
    text = text.strip()
    try:
        has = _attributes(text)
    except msgspec.ValidationError as error:
        raise NotAnEvent(str(error)) from None
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"is not JSON: {error}") from None
    if has.specversion and has.id and has.source and has.type:
        return text
    missing: list[tuple[str, str]] = []
    if not has.specversion:
        missing.append(("specversion", "1.0"))
    if not has.id:
        missing.append(("id", str(uuid.uuid4())))
    if not has.source:
        missing.append(("source", defaults.source))
    if not has.type:
        if defaults.type is None:
            raise NotAnEvent("has no type; --type gives one to events without")
        missing.append(("type", defaults.type))
    for name, _ in missing:
        if b'"%b"' % name.encode() in text and name in msgspec.json.decode(text):
            raise NotAnEvent(f"{name} is empty")
    added = ",".join(f'"{name}":{json.dumps(value)}' for name, value in missing).encode()
    rest = text[1:].lstrip()
    return b"{%b%b%b" % (added, b"" if rest == b"}" else b",", rest)


def with_counters(template: bytes, count: int) -> Iterator[bytes]:
    """The template ``count`` times: ``{{n}}`` is 1, 2, 3, …, ``{{uuid}}`` a new UUID each time, and
    ``{{now}}`` the time."""
    values: dict[bytes, Callable[[int], str]] = {
        b"n": str,
        b"uuid": lambda _n: str(uuid.uuid4()),
        b"now": lambda _n: rfc3339(time.time()),
    }
    for number in range(1, count + 1):
        yield _COUNTER.sub(lambda found, n=number: values[found[1]](n).encode(), template)  # type: ignore[misc]


def check_data(text: str) -> str:
    """The JSON of the option --data; counters may stand in it. Raises NotAnEvent."""
    try:
        msgspec.json.decode(_COUNTER.sub(b"1", text.encode()))
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"--data: is not JSON: {error}") from None
    return text


def events_in_document(document: bytes) -> list[bytes]:
    """The events of a whole JSON document: one, or an array. Raises NotAnEvent."""
    try:
        if document.lstrip()[:1] == b"[":
            return [bytes(item) for item in msgspec.json.decode(document, type=list[msgspec.Raw])]
        msgspec.json.decode(document)
        return [document]
    except msgspec.DecodeError as error:
        raise NotAnEvent(f"is not JSON: {error}") from None
