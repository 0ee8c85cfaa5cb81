"""Turns what the gateway refuses into errors that an assistant can act on."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError

from event_gateway.cli.assistants.bounds import MAX_ITEMS, clipped
from event_gateway.client import GatewayError, GatewayUnreachable

Tool = Callable[..., Awaitable[Any]]
# By status: what an assistant does.
_ADVICE = {
    401: "The server's own key is wrong or has expired. Tell the user; retrying does not help.",
    403: "The server's key does not allow this. Tell the user; retrying does not help.",
    404: "Check the id, with the tools that list. The key may also be narrowed to other events.",
    409: "Look at the present state before you try again.",
    422: "Correct the arguments.",
    500: "This is a fault of the gateway. Its log has the details.",
}
_WAIT = "Wait {} seconds, and call the tool again."
_LATER = "Call the tool again later."


def acting_on(tool: Tool) -> Tool:
    """A tool whose errors of the gateway are raised as ToolError, in one text."""

    @functools.wraps(tool)
    async def answered(*args: Any, **arguments: Any) -> Any:
        try:
            try:
                return await tool(*args, **arguments)
            except ExceptionGroup as failed:  # of several requests at once: one says what is wrong
                raise failed.exceptions[0] from None
        except GatewayError as error:
            raise ToolError(text_of(error)) from None
        except GatewayUnreachable as error:
            raise ToolError(f"the gateway cannot be reached: {clipped(str(error))}") from None

    return answered


def text_of(error: GatewayError) -> str:
    """What is wrong, each wrong value, the type of the problem, and what to do."""
    lines = [clipped(error.detail)]
    faults = error.problem.get("errors")
    for fault in faults[:MAX_ITEMS] if isinstance(faults, list) else ():
        text = clipped(f"{fault.get('key', '')}: {fault.get('detail', '')}".removeprefix(": "))
        if text not in lines:
            lines.append(text)
    lines.append(f"({error.type}, status {error.status})")
    advice = _ADVICE.get(error.status, "")
    if error.retry_after is not None:
        advice = _WAIT.format(round(error.retry_after))
    elif error.status in (429, 503, 507):
        advice = _LATER
    return "\n".join([*lines, advice]).rstrip()
