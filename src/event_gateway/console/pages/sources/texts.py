"""A source as YAML of the configuration file, and the address that its provider calls."""

from collections.abc import Mapping
from typing import Any

from event_gateway.console import configuration_yaml

# What the gateway adds to a definition.
ADDED = {"managed_by", "created_at", "in_force", "secret_state", "requests", "warnings"}


def address(source: Mapping[str, Any]) -> str:
    """The URL for the provider. The gateway does not know its public address, unless the source
    says it."""
    if source.get("url"):
        return str(source["url"])
    key = f"?{source['query']}=KEY" if source.get("query") else ""
    return f"https://YOUR-GATEWAY/v1/sources/{source['name']}{key}"


def own_members(source: Mapping[str, Any]) -> dict[str, Any]:
    """What the definition of a source says itself."""
    defaults: dict[str, Any] = {
        "event": {}, "tolerance": None, "keep_refused": False, "enabled": True, "description": "",
    }  # fmt: skip
    return {
        name: value
        for name, value in source.items()
        if name not in ADDED and not (name in defaults and value == defaults[name])
    }


def as_yaml(source: Mapping[str, Any]) -> str:
    """The definition as it stands in a configuration file."""
    members = {name: value for name, value in own_members(source).items() if name != "name"}
    return configuration_yaml.as_yaml("sources", source["name"], members)
