"""Arguments of the tools for assistants, checked by the server that offers them."""

import pytest
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from pydantic import TypeAdapter

from event_gateway.cli.assistants.arguments import CheckedServer


async def count(limit: int) -> int:
    """Fails in its own code for 0."""
    return limit or TypeAdapter(int).validate_python("a secret of the gateway")


async def test_arguments_are_wrong_only_where_the_caller_is() -> None:
    server = CheckedServer("test")
    server.offer(count)
    for arguments, text in (
        ({"limit": "many"}, "wrong arguments of count:\nlimit: "),
        ({"limit": 1, "limits": 2}, "limits: there is no such argument; did you mean limit?"),
    ):
        with pytest.raises(ToolError) as refused:
            await server.call_tool("count", arguments)
        assert text in str(refused.value)
    with pytest.raises(UnexpectedToolError) as crashed:
        await server.call_tool("count", {"limit": 0})
    assert str(crashed.value) == "Error executing tool count"
