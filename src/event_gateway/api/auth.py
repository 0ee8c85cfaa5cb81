"""Who may talk to the API: for now whoever holds the admin key."""

import asyncio
import hmac
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from event_gateway.api.context import Context
from event_gateway.api.problems import Problem

BODY_TIMEOUT = 30.0  # seconds in which a request's body must have come


class GuardedRoute(APIRoute):
    """A route for who holds the key: it reads no body of anybody else, and none over the limit."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler behind the check."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            context: Context = request.app.state.context
            require(request.headers, context.admin_key)
            body = await read_body(request, context.max_body)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            return await handle(Request(request.scope, receive))

        return guarded


def authenticated(headers: Mapping[str, str], key: str) -> bool:
    """Whether ``Authorization: Bearer`` or ``X-API-Key`` holds the key."""
    given = headers.get("x-api-key", "")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        given = token.strip()
    return hmac.compare_digest(given.encode(), key.encode())


def require(headers: Mapping[str, str], key: str) -> None:
    """Raises the 401 problem where the request does not hold the key."""
    if not authenticated(headers, key):
        raise Problem(
            401, "send the key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
            {"WWW-Authenticate": "Bearer"},
        )  # fmt: skip


async def read_body(request: Request, limit: int) -> bytes:
    """The body; raises the 413 problem as soon as it is over ``limit`` bytes, 408 where it does
    not come in time."""
    length = request.headers.get("content-length", "")
    # The rest is read and dropped: who is hung up on while sending never sees the answer.
    too_large = Problem(413, f"the body is over the limit of {limit} bytes")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise too_large
                parts.append(part)
    except ClientDisconnect:
        raise Problem(400, "the body ended early") from None
    except TimeoutError:
        late = f"the body did not come within {BODY_TIMEOUT:g} seconds"
        raise Problem(408, late, {"Connection": "close"}) from None
    return b"".join(parts)
