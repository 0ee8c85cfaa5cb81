"""An event type: an entry of the catalog."""

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
MAX_TOTAL = 64 * 1024 * 1024  # bytes of all event types
MAX_EXAMPLES = 20
MAX_TYPE = 255  # bytes
_TEXTS = {"description": 4000, "owner": 200, "dataschema": 1000}  # with their most characters
# Characters that JSON allows, but not a key of the registry, a log line or a header.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class EventType(msgspec.Struct, frozen=True, omit_defaults=True):
    """A type in the catalog. ``schema`` (JSON Schema 2020-12) and ``examples`` describe the events'
    data, and are stored as JSON text.

    ``enforce`` says what the gateway does with events whose data is not valid; None means the
    default of the configuration. ``dataschema`` is only shown, and never fetched.
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
        """All reasons why it cannot be registered."""
        yield from _name_problems(self.type)
        for key, max_length in _TEXTS.items():
            text = getattr(self, key)
            if len(text) > max_length:
                yield InvalidDefinition(key, f"must have at most {max_length} characters")
            if (_CONTROL if key == "description" else _FORBIDDEN).search(text):
                yield InvalidDefinition(key, "contains a control character or a noncharacter")
        if self.dataschema and not _is_absolute(self.dataschema):
            yield InvalidDefinition("dataschema", "must be an absolute URI")
        if self.enforce is not None and self.enforce not in ENFORCE:
            yield InvalidDefinition("enforce", f"must be one of {', '.join(ENFORCE)}")
        schema = None
        if self.schema is not msgspec.UNSET:
            try:
                schema = compile_schema(self.schema)
            except InvalidDefinition as error:
                yield error
                return
        if len(self.examples) > MAX_EXAMPLES or sum(map(len, self.examples)) > MAX_BYTES:
            yield InvalidDefinition(
                "examples", f"must be at most {MAX_EXAMPLES}, with {MAX_BYTES} bytes together"
            )
            return
        for at, example in enumerate(self.examples if schema is not None else ()):
            if (violation := _violation(schema, example)) is not None:
                yield InvalidDefinition(
                    f"examples[{at}]", f"at {violation.path or 'its root'}: {violation.detail}"
                )

    def same(self, other: "EventType") -> bool:
        """Whether both define the same type in the same way; the order of members is ignored."""
        return self._canonical() == other._canonical()

    def _canonical(self) -> bytes:
        definition = msgspec.structs.replace(self, managed_by="", created_at=0.0, updated_at=0.0)
        decoded = msgspec.json.decode(msgspec.json.encode(definition))
        return msgspec.json.encode(decoded, order="sorted")


def compile_schema(schema: msgspec.Raw) -> EventSchema:
    """Compiles a schema. Raises InvalidDefinition if it cannot be used."""
    if len(schema) > MAX_BYTES:
        raise InvalidDefinition("schema", f"is larger than {MAX_BYTES} bytes")
    try:
        decoded = msgspec.json.decode(schema)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidDefinition("schema", "cannot be decoded") from None
    return EventSchema(decoded)


def to_json(value: Any, key: str) -> msgspec.Raw:
    """A value as JSON text to be stored. Raises InvalidDefinition if JSON cannot express it."""
    try:
        # The faster encoder writes null for a number that JSON does not have.
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        return msgspec.Raw(text.encode())
    except (ValueError, RecursionError, TypeError):
        raise InvalidDefinition(key, "is not a JSON value") from None


def _violation(schema: EventSchema | None, example: msgspec.Raw) -> Violation | None:
    assert schema is not None
    return schema.violation(msgspec.json.decode(example), len(example))


def _name_problems(name: str) -> Iterator[InvalidDefinition]:
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_TYPE:
        yield InvalidDefinition("type", f"must have 1 to {MAX_TYPE} bytes")
    elif _FORBIDDEN.search(name):
        yield InvalidDefinition("type", "contains a control character or a noncharacter")
    elif any(token in ("*", ">") for token in name.split(".")):
        yield InvalidDefinition("type", f"{name!r} is a pattern: a type is one exact name")
    elif name in (".", ".."):
        yield InvalidDefinition("type", f"{name!r} cannot be part of a URL")
    elif is_reserved(name):
        yield InvalidDefinition("type", f"{name!r} is reserved for the gateway")


def _is_absolute(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False
