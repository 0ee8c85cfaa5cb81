"""Who may talk to the API: for now whoever holds the admin key."""

import asyncio
import hmac
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from event_gateway.api.server.context import Context
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.browser_token import PREFIX, InvalidToken, read
from event_gateway.core.access.principal import ADMIN, Principal

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
    return hmac.compare_digest(given_key(headers).encode(), key.encode())


def given_key(headers: Mapping[str, str]) -> str:
    """What a request holds for a key; empty where it holds none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


class Unauthenticated(Exception):
    """Neither a key nor a token that holds; the text says what to send."""


def principal_of(
    context: Context, headers: Mapping[str, str], query: Mapping[str, str]
) -> Principal:
    """Who subscribes: by the key, or by a token in a header or as ``?token=``.

    Raises Unauthenticated.
    """
    if authenticated(headers, context.admin_key):
        return ADMIN
    token = query.get("token") or given_key(headers)
    if not token.startswith(PREFIX):
        raise Unauthenticated("send the key in Authorization or X-API-Key, or a token as ?token=")
    try:
        return read(context.token_key, token, time.time())
    except InvalidToken as error:
        raise Unauthenticated(str(error)) from None


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
