"""A webhook as YAML of the configuration file, and as the command that registers it."""

import json
import shlex
from collections.abc import Mapping
from typing import Any

from event_gateway.console import configuration_yaml

# What the gateway adds to a definition.
ADDED = {"managed_by", "owner", "created_at", "state", "verification", "disabled", "warnings",
         "queue", "expression_errors"}  # fmt: skip


def own_members(webhook: Mapping[str, Any], defaults: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the definition of a webhook says itself. ``defaults``: a webhook of which nothing was
    said; without it all members are there."""
    definition = {name: value for name, value in webhook.items() if name not in ADDED}
    if defaults is None:
        return definition
    needed = ("id", "url", "events")
    return {
        name: _changed(value, defaults.get(name))
        for name, value in definition.items()
        if name in needed or value != defaults.get(name)
    }


def _changed(value: Any, default: Any) -> Any:
    if isinstance(value, Mapping) and isinstance(default, Mapping):
        return {name: each for name, each in value.items() if each != default.get(name)}
    return value


def as_yaml(definition: Mapping[str, Any]) -> str:
    """The definition as it stands in a configuration file."""
    members = {name: value for name, value in definition.items() if name != "id"}
    return configuration_yaml.as_yaml("webhooks", definition.get("id") or "ID", members)


def as_curl(definition: Mapping[str, Any]) -> str:
    """The command that registers the definition, or replaces it."""
    path = f"/v1/webhooks/{definition.get('id') or 'ID'}"
    body = json.dumps(definition, indent=2, ensure_ascii=False)
    return (
        f'curl -X PUT "$EVENT_GATEWAY_URL{path}" \\\n'
        '  -H "Authorization: Bearer $EVENT_GATEWAY_KEY" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}\n"
    )
