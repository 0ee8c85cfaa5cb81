"""What a message requires of the attributes of its events, beyond CloudEvents itself.

The catalog checks the schema of the data. An import names what a document asks for beyond that, so
that nobody relies on it.
"""

from collections.abc import Callable
from typing import Any

from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping

MAX_PARTS = 1000  # schemas that together describe an envelope
MAX_NAMED = 20  # requirements that an import names of one message
_ALWAYS = frozenset(("specversion", "id", "source", "type"))
_CHECKED = frozenset(("specversion", "type", "data", "data_base64"))  # by CloudEvents, or as data
_FORMATS = frozenset(("uri", "uri-reference", "date-time"))
# Keywords that require nothing, or whose content is looked at on its own.
_NO_REQUIREMENTS = frozenset((
    "$ref", "$id", "$schema", "$anchor", "$comment", "$defs", "definitions", "title", "description",
    "default", "examples", "example", "deprecated", "readOnly", "writeOnly", "properties",
    "required", "allOf", "oneOf", "anyOf", "externalDocs", "contentMediaType", "contentEncoding",
    "discriminator",
))  # fmt: skip


def parts_of(
    document: Document, *schemas: tuple[Any, str]
) -> tuple[list[tuple[dict[str, Any], str]], list[str]]:
    """All schemas that apply to the same value, and their references to other documents."""
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
        all_of = items(value.get("allOf"))
        waiting += [(schema, f"{at}/allOf/{n}") for n, schema in enumerate(all_of)]
    return parts, external


def dropped_requirements(
    document: Document,
    parts: list[tuple[dict[str, Any], str]],
    attribute_of: Callable[[str], str | None],
) -> tuple[str, ...]:
    """The requirements of an envelope that the catalog does not check, such as ``source (const)``.

    ``parts`` are the schemas of the envelope, or of the headers; ``attribute_of`` gives the
    attribute that a property is, None if it is none.
    """
    found: dict[str, None] = {}
    for part, at in parts:
        for name in items(part.get("required")):
            attribute = attribute_of(name) if isinstance(name, str) else None
            if attribute is not None and attribute not in _ALWAYS | {"data"}:
                found[f"{attribute[:64]} (required)"] = None
        for name, value in mapping(part.get("properties")).items():
            attribute = attribute_of(name)
            if attribute is None or attribute in _CHECKED:
                continue
            if value is False:
                found[f"{attribute[:64]} (not allowed)"] = None
            keywords = [
                keyword
                for schema, _ in parts_of(document, (value, f"{at}/properties/{name}"))[0]
                for keyword in _requirements(schema)
            ]
            if keywords:
                found[f"{attribute[:64]} ({', '.join(dict.fromkeys(keywords))})"] = None
        for keyword in _requirements(part):
            if keyword != "type":
                found[f"{keyword} of the event"] = None
    named = list(found)[:MAX_NAMED]
    return (*named, "…") if len(found) > MAX_NAMED else tuple(named)


def _requirements(schema: dict[str, Any]) -> list[str]:
    """The keywords of a schema that require more of a text than CloudEvents does."""
    return [
        keyword[:64]
        for keyword, value in schema.items()
        if not (
            keyword in _NO_REQUIREMENTS
            or keyword.startswith("x-")
            or (keyword == "type" and "string" in (items(value) or [value]))
            or (keyword == "type" and value == "object")
            or (keyword == "minLength" and value in (0, 1))
            or (keyword == "format" and value in _FORMATS)
            or (keyword == "additionalProperties" and value is not False and not mapping(value))
        )
    ]
