"""A server that names wrong arguments of a tool in plain words, and refuses unknown ones."""

import inspect
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import ValidationError

from event_gateway.cli.assistants.bounds import MAX_ITEMS, clipped
from event_gateway.cli.assistants.errors import Tool
from event_gateway.config.problems import reason_of
from event_gateway.core.text.suggestion import suggestion


class CheckedServer(MCPServer):  # type: ignore[misc]  # the SDK is an extra
    """The SDK drops arguments that a tool does not have, so that a filter with a wrong name would
    filter nothing; and it answers the others with the text of its validation, a URL included."""

    def __init__(self, name: str, **settings: Any) -> None:
        super().__init__(name, **settings)
        self._known: dict[str, list[str]] = {}  # the arguments of each tool

    def offer(self, tool: Tool, **described: Any) -> None:
        """Adds a tool."""
        self.add_tool(tool, **described)
        self._known[tool.__name__] = list(inspect.signature(tool).parameters)

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        """The result of a tool. Raises ToolError."""
        known = self._known.get(name, list(arguments))
        wrong = [
            f"{clipped(each)}: there is no such argument{suggestion(each, known)}"
            for each in arguments if each not in known
        ]  # fmt: skip
        if wrong:
            raise ToolError(_text(name, wrong))
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            # A tool whose own code fails to validate something has crashed: no argument is wrong.
            if isinstance(error, UnexpectedToolError) or not isinstance(cause, ValidationError):
                raise
            wrong = []
            for each in cause.errors():
                path = tuple(str(part) for part in each["loc"])
                wrong.append(f"{'.'.join(path)}: {reason_of(each, path, suggest=False)}")
            raise ToolError(_text(name, wrong)) from None


def _text(name: str, wrong: list[str]) -> str:
    return "\n".join([f"wrong arguments of {name}:", *wrong[:MAX_ITEMS], "Correct the arguments."])
