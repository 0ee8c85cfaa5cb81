"""Times in arguments of tools."""

from typing import Annotated

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from event_gateway.cli.client.times import moment

Since = Annotated[
    str | None, Field(description="At or after this time: RFC 3339, or a duration ago: 1h, 7d.")
]
Until = Annotated[
    str | None, Field(description="Before this time: RFC 3339, or a duration ago: 1h, 7d.")
]


def time_range(since: str | None, until: str | None) -> dict[str, str | None]:
    """The members ``since`` and ``until`` of a request. Raises ToolError."""
    given = {}
    for name, text in (("since", since), ("until", until)):
        try:
            given[name] = None if text is None else moment(text)
        except ValueError as error:
            raise ToolError(f"{name}: {error}") from None
    return given
