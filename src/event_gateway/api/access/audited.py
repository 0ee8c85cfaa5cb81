"""What a route changes: each that changes something declares it by the type of a parameter.

async def delete_webhook(
    parts: Parts, caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.delete", "webhook/{webhook_id}")], …) -> …:

The guarded route records the call before and after the function runs (:mod:`.recorded`); the
function says with ``call.about`` how the resource looks before and after.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import Depends, Request

from event_gateway.audit.trail import Call
from event_gateway.core.audit.change import resource_name

# The key of the ASGI scope under which a route finds its recorded call.
CALL = "event_gateway.audited_call"


class Audited:
    """An ``operation`` of the audit log. ``resource``: a kind of resource, and the parameters of
    the path, or members of the body, that name it, such as ``webhook/{webhook_id}``."""

    def __init__(self, operation: str, resource: str) -> None:
        self.operation = operation
        self._resource = resource

    def resource(self, parameters: Mapping[str, Any], body: Any = None) -> str:
        """The resource of a request, by the parameters of its path and its JSON body, which is not
        validated yet; only its kind where they do not name it."""
        kind, _, names = self._resource.partition("/")
        members = body if isinstance(body, dict) else {}
        given = {name: value for name, value in members.items() if isinstance(value, str)}
        try:
            return resource_name(kind, names.format_map({**given, **parameters})) if names else kind
        except KeyError:
            return kind

    # A coroutine function, as FastAPI calls other functions in a thread.
    async def __call__(self, request: Request) -> Call:
        call: Call = request.scope[CALL]
        return call


def audited(operation: str, resource: str = "") -> Any:
    """A dependency: the call, which the audit log records."""
    return Depends(Audited(operation, resource))
