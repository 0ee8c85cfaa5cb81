"""The page of the lifecycle events: ``python -m event_gateway.core.schema.lifecycle_reference``."""

from typing import Any

import msgspec

from event_gateway.core.schema.lifecycle_types import LIFECYCLE_TYPES

HEAD = """# Lifecycle events

What the gateway publishes about itself ([guide](../guides/lifecycle-events.md)). Every one is a
CloudEvent with the source `event-gateway`. Members in brackets are not always present. This page is
generated; `GET /v1/event-types?owner=event-gateway` has the same as JSON Schema.

| type | when | members of `data` |
| --- | --- | --- |
"""


def reference() -> str:
    """The page as Markdown."""
    return HEAD + "".join(
        f"| `{name}` | {event_type.description} | {_members(event_type.schema)} |\n"
        for name, event_type in sorted(LIFECYCLE_TYPES.items())
    )


def _members(schema: msgspec.Raw | msgspec.UnsetType) -> str:
    assert schema is not msgspec.UNSET  # each of them has one
    found: dict[str, Any] = msgspec.json.decode(schema)
    always = found.get("required", [])
    return " ".join(
        f"`{name}`" if name in always else f"[`{name}`]" for name in found.get("properties", {})
    )


if __name__ == "__main__":
    print(reference(), end="")
