"""Writes the gateway as an AsyncAPI 3.0 document: a channel for each event type of the catalog, its
subject on NATS, and the ways over HTTP and WebSocket; all with CloudEvents in structured mode."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.media_types import STRUCTURED
from event_gateway.core.schema.asyncapi.gateway_channels import (
    NAMES,
    SECURITY_SCHEMES,
    Surroundings,
    servers,
    ways,
)
from event_gateway.core.schema.asyncapi.reading import EXTENSION
from event_gateway.core.schema.bounds import EACH, LISTS, MAPS, SAME
from event_gateway.core.schema.event_type import EventType

VERSION = "3.0.0"
FORMAT = "application/schema+json;version=draft-2020-12"
_NOT_IN_KEY = re.compile(r"[^A-Za-z0-9_.-]+")
_ATTRIBUTES: dict[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "minLength": 1},
    "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
}


def write(
    types: Iterable[EventType], version: str, around: Surroundings | None = None
) -> dict[str, Any]:
    """The document; ``version`` is the gateway's own."""
    around = around or Surroundings()
    accepted: list[str] = []
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for event_type in types:
        key = _key(event_type.type, messages)
        messages[key] = _message(event_type, key)
        channels[key] = {
            "address": event_type.type,
            "servers": [{"$ref": "#/servers/nats"}],
            "messages": {key: {"$ref": f"#/components/messages/{key}"}},
        }
        own = event_type.managed_by == "gateway"
        if not own:
            accepted.append(key)
        operations[key] = {
            "action": "send" if own else "receive",
            "channel": {"$ref": f"#/channels/{key}"},
        }
    # After the channels of the types: readers take the address of the first one for a type's name.
    keys = {name: _key(preferred, messages) for name, preferred in NAMES.items()}
    more_channels, more_operations = ways(accepted, messages, around, keys)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Event Gateway",
            "version": version,
            "description": "The event types that the gateway accepts, its own lifecycle events, "
            "and the ways in and out. On NATS the address of a channel is the type of its events.",
        },
        "servers": servers(around),
        "defaultContentType": STRUCTURED,
        "channels": channels | more_channels,
        "operations": operations | more_operations,
        "components": {"messages": messages, "securitySchemes": SECURITY_SCHEMES},
    }


def _key(name: str, used: dict[str, Any]) -> str:
    """A key for an event type that AsyncAPI allows, and that is not used yet."""
    preferred = _NOT_IN_KEY.sub("_", name)
    key, number = preferred, 1
    while key in used:
        number += 1
        key = f"{preferred}_{number}"
    return key


def _message(event_type: EventType, key: str) -> dict[str, Any]:
    properties = _ATTRIBUTES | {"type": {"const": event_type.type}}
    required = ["specversion", "id", "source", "type"]
    if isinstance(event_type.schema, msgspec.Raw):
        at = f"#/components/messages/{key}/payload/schema/properties/data"
        properties["data"] = _rebase(msgspec.json.decode(event_type.schema), at)
    message: dict[str, Any] = {"name": event_type.type, "contentType": STRUCTURED}
    if event_type.description:
        message["description"] = event_type.description
    message["payload"] = {
        "schemaFormat": FORMAT,
        "schema": {"type": "object", "properties": properties, "required": required},
    }
    if event_type.examples:
        message["examples"] = [
            {"payload": {"specversion": "1.0", "id": f"example-{n}", "source": "/examples",
                         "type": event_type.type, "data": msgspec.json.decode(example)}}
            for n, example in enumerate(event_type.examples, 1)
        ]  # fmt: skip
    extension = {
        name: value
        for name in ("owner", "dataschema", "enforce")
        if (value := getattr(event_type, name))
    }
    if event_type.managed_by == "gateway":
        extension = {"managed_by": "gateway"}
    return message | ({EXTENSION: extension} if extension else {})


def _rebase(node: Any, at: str) -> Any:
    """The schema with its references changed for its new location ``at``: in a document, references
    are relative to the document."""
    if not isinstance(node, dict):
        return node
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("$ref", "$dynamicRef"):
            out[key] = at + value[1:] if value == "#" or value.startswith("#/") else value
        elif key in SAME or key in EACH:
            out[key] = _rebase(value, at)
        elif key in LISTS or key == "prefixItems":
            out[key] = [_rebase(schema, at) for schema in value]
        elif key in MAPS:
            out[key] = {name: _rebase(schema, at) for name, schema in value.items()}
        else:
            out[key] = value
    return out
