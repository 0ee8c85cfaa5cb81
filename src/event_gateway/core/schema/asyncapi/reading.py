"""Event types out of an AsyncAPI document of version 2 or 3."""

from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.asyncapi.bundle import Budget, bundled
from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping, text
from event_gateway.core.schema.asyncapi.envelope import Described, described
from event_gateway.core.schema.asyncapi.messages import Message, messages
from event_gateway.core.schema.event_type import MAX_EXAMPLES, MAX_TOTAL, EventType, kept

MAX_COPIED = 500_000  # values copied out of one document
EXTENSION = "x-event-gateway"


class Skipped(msgspec.Struct, frozen=True):
    """What of a document becomes no event type: where it stands, and why."""

    place: str
    reason: str


def read(content: Any) -> tuple[list[EventType], list[Skipped]]:
    """The event types of a document, and what was left out of it.

    Where several messages stand for one type, the first is taken. Raises InvalidDefinition where it
    is no AsyncAPI document of these versions, or where its types are more than a catalog holds.
    """
    document = Document(content)
    budget = Budget(MAX_COPIED)
    types: dict[str, EventType] = {}
    skipped: list[Skipped] = []
    total = 0
    for message in messages(document):
        if mapping(message.content.get(EXTENSION)).get("managed_by") == "gateway":
            continue  # every gateway has these of itself
        try:
            for event_type in _types_of(document, message, budget):
                known = types.get(event_type.type)
                if known is not None:
                    if not known.same(event_type):
                        raise Skip(f"{event_type.type} is described before, in another way")
                    continue
                problem = next(event_type.problems(), None)
                if problem is not None and problem.key.startswith("examples"):
                    skipped.append(Skipped(message.place, f"its examples are left out: {problem}"))
                    event_type = msgspec.structs.replace(event_type, examples=())
                    problem = next(event_type.problems(), None)
                if problem is not None:
                    raise Skip(f"{event_type.type[:255]}: {problem}")
                types[event_type.type] = event_type
                total += len(msgspec.json.encode(event_type))
        except Skip as skip:
            skipped.append(Skipped(message.place, str(skip)))
        except InvalidDefinition as error:
            skipped.append(Skipped(message.place, str(error)))
        if total > MAX_TOTAL:
            raise InvalidDefinition("", f"its event types have more than {MAX_TOTAL} bytes")
    return list(types.values()), skipped


def _types_of(document: Document, message: Message, budget: Budget) -> Iterator[EventType]:
    if message.trouble:
        raise Skip(message.trouble)
    content = message.content
    more = mapping(content.get(EXTENSION))
    for one in described(document, message):
        schema = _schema(document, one, budget)
        for name in one.types:
            yield EventType(
                type=name,
                description=next(
                    (said for key in ("description", "summary", "title")
                     if (said := text(content.get(key)).strip())), ""
                ),
                owner=text(more.get("owner")),
                dataschema=text(more.get("dataschema")),
                schema=schema,
                examples=tuple(_examples(content, one, name)),
                enforce=more.get("enforce") if isinstance(more.get("enforce"), str) else None,
            )  # fmt: skip


def _schema(document: Document, one: Described, budget: Budget) -> msgspec.Raw | msgspec.UnsetType:
    if not one.schema:
        return msgspec.UNSET
    parts = [
        bundled(document, schema, pointer, budget, former=one.former)
        for schema, pointer in one.schema
    ]
    if len(parts) == 1:
        return kept(parts[0], "schema")
    return kept(_together(parts), "schema")


def _together(parts: list[Any]) -> dict[str, Any]:
    """Schemas that must all hold, each with its own definitions: these are told apart by number."""
    defs: dict[str, Any] = {}
    all_of = []
    for number, part in enumerate(parts):
        name = f"part{number}"
        defs[name] = _moved(part, f"#/$defs/{name}")
        all_of.append({"$ref": f"#/$defs/{name}"})
    return {"allOf": all_of, "$defs": defs}


def _moved(node: Any, to: str) -> Any:
    if isinstance(node, list):
        return [_moved(one, to) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: to + value[1:]
        if key == "$ref" and isinstance(value, str) and (value == "#" or value.startswith("#/"))
        else _moved(value, to)
        for key, value in node.items()
    }


def _examples(content: dict[str, Any], one: Described, name: str) -> Iterator[msgspec.Raw]:
    """The data of a message's examples; only of those that are of that type."""
    count = 0
    for example in items(content.get("examples")):
        payload = mapping(example).get("payload")
        if one.enveloped:
            event = mapping(payload)
            if event.get("type", name) != name or "data" not in event:
                continue
            payload = event["data"]
        elif "payload" not in mapping(example):
            continue
        count += 1
        if count <= MAX_EXAMPLES:
            yield kept(payload, "examples")
