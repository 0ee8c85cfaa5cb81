"""An event type: what the catalog says of the events of that type."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec

from event_gateway.core.cloudevents.reserved_types import is_reserved
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.bounds import MAX_BYTES
from event_gateway.core.schema.event_schema import EventSchema, Violation

ENFORCE = ("off", "warn", "reject")
MAX_TYPES = 10_000
MAX_TOTAL = 64 * 1024 * 1024  # bytes of all types together
MAX_EXAMPLES = 20
MAX_TYPE = 255  # bytes
_TEXTS = {"description": 4000, "owner": 200, "dataschema": 1000}  # and their characters
# What JSON would let in and a key of the registry, a log line or a header would not.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class EventType(msgspec.Struct, frozen=True, omit_defaults=True):
    """A type in the catalog. ``schema`` (JSON Schema 2020-12) and ``examples`` are about the
    events' data, and are kept as the JSON text that they are.

    ``enforce`` says what becomes of events whose data does not hold; None: what the configuration
    says. ``dataschema`` is shown, and never fetched.
    """

    type: str
    description: str = ""
    owner: str = ""
    dataschema: str = ""
    schema: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    examples: tuple[msgspec.Raw, ...] = ()
    enforce: str | None = None
    managed_by: str = "api"
    created_at: float = 0.0
    updated_at: float = 0.0

    def check(self) -> None:
        """Raises InvalidDefinition naming the key that is wrong."""
        for problem in self.problems():
            raise problem

    def problems(self) -> Iterator[InvalidDefinition]:
        """All that stands against registering it."""
        yield from _name_problems(self.type)
        for key, longest in _TEXTS.items():
            text = getattr(self, key)
            if len(text) > longest:
                yield InvalidDefinition(key, f"must have at most {longest} characters")
            if (_CONTROL if key == "description" else _FORBIDDEN).search(text):
                yield InvalidDefinition(key, "holds a character that is not for people to read")
        if self.dataschema and not _is_absolute(self.dataschema):
            yield InvalidDefinition("dataschema", "must be an absolute URI")
        if self.enforce is not None and self.enforce not in ENFORCE:
            yield InvalidDefinition("enforce", f"must be one of {', '.join(ENFORCE)}")
        schema = None
        if self.schema is not msgspec.UNSET:
            try:
                schema = compiled(self.schema)
            except InvalidDefinition as error:
                yield error
                return
        if len(self.examples) > MAX_EXAMPLES or sum(map(len, self.examples)) > MAX_BYTES:
            yield InvalidDefinition(
                "examples", f"there are at most {MAX_EXAMPLES}, of {MAX_BYTES} bytes together"
            )
            return
        for at, example in enumerate(self.examples if schema is not None else ()):
            if (wrong := _wrong(schema, example)) is not None:
                yield InvalidDefinition(
                    f"examples[{at}]", f"at {wrong.path or 'its root'}: {wrong.detail}"
                )

    def same(self, other: "EventType") -> bool:
        """Whether both say the same of the same type, however their members are ordered."""
        return self._said() == other._said()

    def _said(self) -> bytes:
        said = msgspec.structs.replace(self, managed_by="", created_at=0.0, updated_at=0.0)
        decoded = msgspec.json.decode(msgspec.json.encode(said))
        return msgspec.json.encode(decoded, order="sorted")


def compiled(schema: msgspec.Raw) -> EventSchema:
    """The schema, ready to check with. Raises InvalidDefinition where it cannot be used."""
    if len(schema) > MAX_BYTES:
        raise InvalidDefinition("schema", f"is larger than {MAX_BYTES} bytes")
    try:
        decoded = msgspec.json.decode(schema)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidDefinition("schema", "is nothing that can be read") from None
    return EventSchema(decoded)


def kept(value: Any, key: str) -> msgspec.Raw:
    """A JSON value as it is kept. Raises InvalidDefinition where it is none."""
    try:
        # The faster encoder would write null for a number that JSON does not have.
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return msgspec.Raw(text.encode())
    except (ValueError, RecursionError, TypeError):
        raise InvalidDefinition(key, "is nothing that JSON can hold") from None


def _wrong(schema: EventSchema | None, example: msgspec.Raw) -> Violation | None:
    assert schema is not None
    return schema.violation(msgspec.json.decode(example), len(example))


def _name_problems(name: str) -> Iterator[InvalidDefinition]:
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_TYPE:
        yield InvalidDefinition("type", f"must have 1 to {MAX_TYPE} bytes")
    elif _FORBIDDEN.search(name):
        yield InvalidDefinition("type", "holds a control or a code point that is no character")
    elif any(token in ("*", ">") for token in name.split(".")):
        yield InvalidDefinition("type", f"{name!r} is a pattern: a type is one exact name")
    elif name in (".", ".."):
        yield InvalidDefinition("type", f"{name!r} is nothing that a URL can hold")
    elif is_reserved(name):
        yield InvalidDefinition("type", f"{name!r} is one of the gateway's own")


def _is_absolute(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False
