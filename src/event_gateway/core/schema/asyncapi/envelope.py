"""Which event types a message stands for, and the schema of their data.

A message is a CloudEvent in structured mode where its payload has the attributes, be it by a
reference to CloudEvents' own schema; in binary mode where its headers have ``ce_type`` or
``ce-type``. What is neither has its payload as its data.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.asyncapi.messages import Message

MAX_PARTS = 1000  # schemas that an envelope is put together of
_DOTTED = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+")
_HEADER = re.compile(r"ce[-_]type", re.IGNORECASE)
_OURS = ("application/vnd.aai.asyncapi", "application/schema")
_STRUCTURED = "application/cloudevents"


class Described(msgspec.Struct, frozen=True):
    """Types that share a schema of their data. ``schema``: with the pointer of where it stands, in
    parts that must all hold; ``former``: it is of draft 07, or AsyncAPI's own. ``enveloped``:
    examples are whole events."""

    types: tuple[str, ...]
    schema: tuple[tuple[Any, str], ...]
    former: bool
    enveloped: bool


def described(document: Document, message: Message) -> list[Described]:
    """What a message says, by its alternatives. Raises Skip where it names no type."""
    whole = _with_traits(document, message)
    payload, pointer, former = _payload(document, whole, message.place)
    structured = text(
        whole.get("contentType") or document.content.get("defaultContentType")
    ).startswith(_STRUCTURED)
    found = []
    for variant in _variants(document, payload, pointer):
        parts, external = _parts(document, *variant)
        names = {name for part, _ in parts for name in mapping(part.get("properties"))}
        if (
            "specversion" in names or {"type", "source", "data"} <= names or structured
            or any("cloudevents" in one.lower() for one in external)
        ):  # fmt: skip
            types = _values(document, parts, lambda name: name == "type")
            data = tuple(
                (said, f"{place}/properties/data")
                for part, place in parts
                if (said := mapping(part.get("properties")).get("data", True)) not in (True, {})
            )
            found.append(Described(types or _named(message), data, former, True))
    if found:
        return found
    headers, _ = _parts(document, (whole.get("headers"), f"{message.place}/headers"))
    types = _values(document, headers, lambda name: _HEADER.fullmatch(name) is not None)
    data = () if payload is None else ((payload, pointer),)
    return [Described(types or _named(message), data, former, False)]


def _named(message: Message) -> tuple[str, ...]:
    for name in message.names:
        if _DOTTED.fullmatch(name):
            return (name,)
    raise Skip(
        "names no type: neither a const or enum of the attribute type (or of the header ce_type), "
        "nor a dotted name of the message or its channel"
    )


def _with_traits(document: Document, message: Message) -> dict[str, Any]:
    """A message with what its traits add; what it says itself goes before."""
    whole = dict(message.content)
    headers = [whole["headers"]] if "headers" in whole else []
    for value in items(whole.get("traits")):
        try:
            trait, _ = document.follow(value, "")
        except Skip:
            continue  # CloudEvents' own is elsewhere, and says nothing of this type
        whole = mapping(trait) | whole
        headers += [mapping(trait)["headers"]] if "headers" in mapping(trait) else []
    if headers:
        whole["headers"] = {"allOf": headers}
    return whole


def _payload(document: Document, message: dict[str, Any], place: str) -> tuple[Any, str, bool]:
    payload, pointer = message.get("payload"), f"{place}/payload"
    said = message.get("schemaFormat")
    if document.major == "3" and payload is not None:
        around, at = document.follow(payload, pointer)
        if isinstance(around, dict) and "schema" in around and "schemaFormat" in around:
            payload, pointer, said = around["schema"], f"{at}/schema", around["schemaFormat"]
    if said is None:
        return payload, pointer, True
    if not isinstance(said, str) or not said.startswith(_OURS):
        raise Skip(f"its payload is described in {str(said)[:100]}, which is not understood")
    return payload, pointer, "2020-12" not in said


def _variants(document: Document, payload: Any, pointer: str) -> list[list[tuple[Any, str]]]:
    """The payload, or what it may be by ``oneOf: [one event, another]``; each with what holds for
    all of them."""
    try:
        value, at = document.follow(payload, pointer)
    except Skip:
        return [[(payload, pointer)]]
    for keyword in ("oneOf", "anyOf"):
        if isinstance(value, dict) and isinstance(value.get(keyword), list):
            return [
                [(one, f"{at}/{keyword}/{n}"), (value, at)] for n, one in enumerate(value[keyword])
            ]
    return [[(payload, pointer)]]


def _parts(
    document: Document, *schemas: tuple[Any, str]
) -> tuple[list[tuple[dict[str, Any], str]], list[str]]:
    """All schemas that hold for the same value, and the references to elsewhere among them."""
    parts: list[tuple[dict[str, Any], str]] = []
    external: list[str] = []
    seen: set[str] = set()
    waiting = list(schemas)
    while waiting and len(parts) < MAX_PARTS:
        value, at = waiting.pop(0)
        if not isinstance(value, dict) or at in seen:
            continue
        seen.add(at)
        parts.append((value, at))
        reference = value.get("$ref")
        if isinstance(reference, str):
            try:
                waiting.append(document.at(reference))
            except Skip:
                external.append(reference)
        waiting += [(one, f"{at}/allOf/{n}") for n, one in enumerate(items(value.get("allOf")))]
    return parts, external


def _values(
    document: Document, parts: list[tuple[dict[str, Any], str]], wanted: Callable[[str], bool]
) -> tuple[str, ...]:
    """The values that a property may have, as the first part says that limits them."""
    for part, at in parts:
        for name, value in mapping(part.get("properties")).items():
            if not wanted(name):
                continue
            for limits, _ in _parts(document, (value, f"{at}/properties/{name}"))[0]:
                found = [limits["const"]] if "const" in limits else items(limits.get("enum"))
                types = tuple(one for one in found if isinstance(one, str))
                if types:
                    return types
    return ()
