"""The member ``warnings`` of answers to creates and changes."""

from collections.abc import Iterable
from typing import Any

from event_gateway.core.errors import DefinitionWarning


def with_warnings(shown: dict[str, Any], warnings: Iterable[DefinitionWarning]) -> dict[str, Any]:
    """The answer with its warnings."""
    return shown | {"warnings": shown_warnings(warnings)}


def shown_warnings(warnings: Iterable[DefinitionWarning]) -> list[dict[str, str]]:
    """Warnings, each ``{"code", "detail"}``; the detail begins with the key."""
    return [{"code": each.code, "detail": f"{each.key}: {each.detail}"} for each in warnings]
