"""The member ``warnings`` of answers to creates and changes."""

from collections.abc import Iterable
from typing import Any

from event_gateway.core.errors import DefinitionWarning


def with_warnings(shown: dict[str, Any], warnings: Iterable[DefinitionWarning]) -> dict[str, Any]:
    """The answer with its warnings, each ``{"code", "detail"}``; the detail begins with the key."""
    listed = [{"code": each.code, "detail": f"{each.key}: {each.detail}"} for each in warnings]
    return shown | {"warnings": listed}
