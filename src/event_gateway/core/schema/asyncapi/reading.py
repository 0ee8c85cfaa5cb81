"""Reads event types from an AsyncAPI document of version 2 or 3."""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.asyncapi.bundle import CopyBudget, bundle_schema
from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.asyncapi.envelope import TypeDescription, describe
from event_gateway.core.schema.asyncapi.messages import Message, messages
from event_gateway.core.schema.event_type import MAX_EXAMPLES, MAX_TOTAL, EventType, to_json

MAX_COPIED = 500_000  # values copied out of one document
EXTENSION = "x-event-gateway"


class Skipped(msgspec.Struct, frozen=True):
    """A part of a document from which no event type was made: its JSON Pointer, and why."""

    place: str
    reason: str


def read(content: Any) -> tuple[list[EventType], list[Skipped]]:
    """The event types of a document, and the parts that were skipped.

    If several messages describe one type, the first counts. Raises InvalidDefinition if it is not
    an AsyncAPI document of these versions, or if its types are more than a catalog can hold.
    """
    document = Document(content)
    budget = CopyBudget(MAX_COPIED)
    types: dict[str, EventType] = {}
    skipped: list[Skipped] = []
    total = 0
    for message in messages(document):
        if mapping(message.content.get(EXTENSION)).get("managed_by") == "gateway":
            continue  # the gateway's own lifecycle events, which every gateway has
        try:
            for event_type, dropped in _types_of(document, message, budget):
                earlier = types.get(event_type.type)
                if earlier is not None:
                    if not earlier.same(event_type):
                        raise Skip(f"{event_type.type} was described earlier, in another way")
                    continue
                problem = next(event_type.problems(), None)
                if problem is not None and problem.key.startswith("examples"):
                    skipped.append(
                        Skipped(message.pointer, f"its examples are left out: {problem}")
                    )
                    event_type = msgspec.structs.replace(event_type, examples=())
                    problem = next(event_type.problems(), None)
                if problem is not None:
                    raise Skip(f"{event_type.type[:255]}: {problem}")
                types[event_type.type] = event_type
                if dropped:
                    skipped.append(Skipped(
                        message.pointer,
                        f"{event_type.type[:255]} is registered, but the catalog checks the data "
                        f"alone, and not these requirements: {', '.join(dropped)}",
                    ))  # fmt: skip
                total += len(msgspec.json.encode(event_type))
        except Skip as skip:
            skipped.append(Skipped(message.pointer, str(skip)))
        except InvalidDefinition as error:
            skipped.append(Skipped(message.pointer, str(error)))
        if total > MAX_TOTAL:
            raise InvalidDefinition("", f"its event types have more than {MAX_TOTAL} bytes")
    return list(types.values()), skipped


def _types_of(
    document: Document, message: Message, budget: CopyBudget
) -> Iterator[tuple[EventType, tuple[str, ...]]]:
    """The event types of a message, each with the requirements that the catalog does not check."""
    if message.problem:
        raise Skip(message.problem)
    content = message.content
    extension = mapping(content.get(EXTENSION))
    enforce = extension.get("enforce")
    for description in describe(document, message):
        schema = _schema(document, description, budget)
        for name in description.types:
            event_type = EventType(
                type=name,
                description=next(
                    (value for key in ("description", "summary", "title")
                     if (value := text(content.get(key)).strip())), ""
                ),
                owner=text(extension.get("owner")),
                dataschema=text(extension.get("dataschema")),
                schema=schema,
                examples=tuple(_examples(content, description, name)),
                enforce=enforce if isinstance(enforce, str) else None,
            )  # fmt: skip
            yield event_type, description.dropped


def _schema(
    document: Document, description: TypeDescription, budget: CopyBudget
) -> msgspec.Raw | msgspec.UnsetType:
    if not description.schema:
        return msgspec.UNSET
    parts = [
        bundle_schema(document, schema, pointer, budget, draft_07=description.draft_07)
        for schema, pointer in description.schema
    ]
    if len(parts) == 1:
        return to_json(parts[0], "schema")
    return to_json(_all_of(parts), "schema")


def _all_of(parts: list[Any]) -> dict[str, Any]:
    """One schema that requires all parts. Each part keeps its own definitions, under a number."""
    defs: dict[str, Any] = {}
    references = []
    for number, part in enumerate(parts):
        name = f"part{number}"
        defs[name] = _rebase(part, f"#/$defs/{name}")
        references.append({"$ref": f"#/$defs/{name}"})
    return {"allOf": references, "$defs": defs}


def _rebase(node: Any, to: str) -> Any:
    """The schema with its references changed for its new location ``to``."""
    if isinstance(node, list):
        return [_rebase(item, to) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: to + value[1:]
        if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
        else _rebase(value, to)
        for key, value in node.items()
    }


def _examples(
    content: dict[str, Any], description: TypeDescription, name: str
) -> Iterator[msgspec.Raw]:
    """The data of the message's examples that have the event type ``name``."""
    count = 0
    for example in items(content.get("examples")):
        payload = mapping(example).get("payload")
        if description.enveloped:
            event = mapping(payload)
            if event.get("type", name) != name or "data" not in event:
                continue
            payload = event["data"]
        elif "payload" not in mapping(example):
            continue
        count += 1
        if count <= MAX_EXAMPLES:
            yield to_json(payload, "examples")
