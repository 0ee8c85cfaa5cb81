"""Finds the event types that a message describes, and the schema of their data.

A message is a CloudEvent in structured mode if its payload has the attributes, for example by a
reference to the schema of CloudEvents; in binary mode if its headers have ``ce_type`` or
``ce-type``. In other messages the payload is the data.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.asyncapi.messages import Message
from event_gateway.core.schema.asyncapi.requirements import dropped_requirements, parts_of

_DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_HEADER = re.compile(r"ce[-_]type", re.IGNORECASE)
_SCHEMA_FORMATS = ("application/vnd.aai.asyncapi", "application/schema")
_STRUCTURED = "application/cloudevents"


class TypeDescription(msgspec.Struct, frozen=True):
    """Event types that share a schema of their data. ``schema`` has its parts, which must all be
    valid, each with its pointer; ``draft_07``: it is in draft 07, or in AsyncAPI's own form.
    ``enveloped``: the examples are whole events. ``dropped``: what the message requires of the
    attributes, which the catalog does not check."""

    types: tuple[str, ...]
    schema: tuple[tuple[Any, str], ...]
    draft_07: bool
    enveloped: bool
    dropped: tuple[str, ...] = ()


def describe(document: Document, message: Message) -> list[TypeDescription]:
    """The event types of a message, one entry for each alternative of its payload.

    Raises Skip if it names no type.
    """
    whole = message.content
    payload, pointer, draft_07 = _payload(document, whole, message.pointer)
    structured = text(
        whole.get("contentType") or document.content.get("defaultContentType")
    ).startswith(_STRUCTURED)
    descriptions = []
    for variant in _variants(document, payload, pointer):
        parts, external = parts_of(document, *variant)
        names = {name for part, _ in parts for name in mapping(part.get("properties"))}
        if (
            "specversion" in names or {"type", "source", "data"} <= names or structured
            or any("cloudevents" in reference.lower() for reference in external)
        ):  # fmt: skip
            types = _values(document, parts, lambda name: name == "type")
            data = tuple(
                (schema, f"{at}/properties/data")
                for part, at in parts
                if (schema := mapping(part.get("properties")).get("data", True)) not in (True, {})
            )
            dropped = dropped_requirements(document, parts, lambda name: name)
            descriptions.append(
                TypeDescription(types or _type_from_name(message), data, draft_07, True, dropped)
            )
    if descriptions:
        return descriptions
    headers, _ = parts_of(document, (whole.get("headers"), f"{message.pointer}/headers"))
    types = _values(document, headers, lambda name: _HEADER.fullmatch(name) is not None)
    data = () if payload is None else ((payload, pointer),)
    dropped = dropped_requirements(document, headers, _attribute_of_header)
    return [TypeDescription(types or _type_from_name(message), data, draft_07, False, dropped)]


def _attribute_of_header(name: str) -> str | None:
    return name[3:].lower() if name[:3].lower() in ("ce-", "ce_") else None


def _type_from_name(message: Message) -> tuple[str, ...]:
    """The first name of the message that looks like an event type. Raises Skip if none does."""
    for name in message.names:
        if _DOTTED.fullmatch(name):
            return (name,)
    raise Skip(
        "names no type: neither a const or enum of the attribute type (or of the header ce_type), "
        "nor a dotted name of the message or its channel"
    )


def _payload(document: Document, message: dict[str, Any], at: str) -> tuple[Any, str, bool]:
    """The schema of the payload, its pointer, and whether it is in draft 07. Raises Skip."""
    payload, pointer = message.get("payload"), f"{at}/payload"
    schema_format = message.get("schemaFormat")
    if document.major == "3" and payload is not None:
        wrapper, at = document.follow(payload, pointer)
        if isinstance(wrapper, dict) and "schema" in wrapper and "schemaFormat" in wrapper:
            payload, pointer = wrapper["schema"], f"{at}/schema"
            schema_format = wrapper["schemaFormat"]
    if schema_format is None:
        return payload, pointer, True
    if not isinstance(schema_format, str) or not schema_format.startswith(_SCHEMA_FORMATS):
        raise Skip(f"its payload is described in {str(schema_format)[:100]}, which is unsupported")
    return payload, pointer, "2020-12" not in schema_format


def _variants(document: Document, payload: Any, pointer: str) -> list[list[tuple[Any, str]]]:
    """The payload; or the alternatives of its ``oneOf`` or ``anyOf``, each together with the
    schema that applies to all of them."""
    try:
        value, at = document.follow(payload, pointer)
    except Skip:
        return [[(payload, pointer)]]
    for keyword in ("oneOf", "anyOf"):
        if isinstance(value, dict) and isinstance(value.get(keyword), list):
            return [
                [(schema, f"{at}/{keyword}/{n}"), (value, at)]
                for n, schema in enumerate(value[keyword])
            ]
    return [[(payload, pointer)]]


def _values(
    document: Document, parts: list[tuple[dict[str, Any], str]], selects: Callable[[str], bool]
) -> tuple[str, ...]:
    """The strings to which the first part with a ``const`` or ``enum`` limits a property;
    ``selects`` chooses the property by its name."""
    for part, at in parts:
        for name, value in mapping(part.get("properties")).items():
            if not selects(name):
                continue
            for limits, _ in parts_of(document, (value, f"{at}/properties/{name}"))[0]:
                allowed = [limits["const"]] if "const" in limits else items(limits.get("enum"))
                strings = tuple(item for item in allowed if isinstance(item, str))
                if strings:
                    return strings
    return ()
