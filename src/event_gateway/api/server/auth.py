"""Authentication: a request must hold the admin key; subscribers may hold a token instead."""

import hmac
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message

from event_gateway.api.server.bodies import json_of
from event_gateway.api.server.dependencies import part_of
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.core.access.browser_token import PREFIX, InvalidToken, issue, read
from event_gateway.core.access.principal import ADMIN, Principal


class Unauthenticated(Exception):
    """The request holds neither the key nor a valid token; the text says what to send."""


class Authenticator:
    """Checks the admin key, and issues and checks tokens for browsers.

    No dataclass: its ``repr`` must not show the keys.
    """

    __slots__ = ("_admin_key", "_token_key")

    def __init__(self, admin_key: str, token_key: bytes) -> None:
        self._admin_key = admin_key.encode()
        self._token_key = token_key

    def holds_key(self, headers: Mapping[str, str]) -> bool:
        """Whether ``Authorization: Bearer`` or ``X-API-Key`` holds the admin key."""
        return hmac.compare_digest(given_key(headers).encode(), self._admin_key)

    def require_key(self, headers: Mapping[str, str]) -> None:
        """Raises the 401 problem if the request does not hold the admin key."""
        if not self.holds_key(headers):
            raise self.key_missing()

    def key_missing(self) -> Problem:
        """The answer to a request without the admin key."""
        detail = "send the key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
        return Problem(401, detail, {"WWW-Authenticate": "Bearer"})

    def subscriber(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Principal:
        """Who subscribes: the holder of the admin key, or of a token in a header or in ``?token=``.

        Raises Unauthenticated.
        """
        if self.holds_key(headers):
            return ADMIN
        token = query.get("token") or given_key(headers)
        if not token.startswith(PREFIX):
            raise Unauthenticated(
                "send the key in Authorization or X-API-Key, or a token as ?token="
            )
        try:
            return read(self._token_key, token, time.time())
        except InvalidToken as error:
            raise Unauthenticated(str(error)) from None

    def issue_token(self, principal: Principal, until: float) -> str:
        """A token for a principal; ``until`` in seconds since the epoch."""
        return issue(self._token_key, principal, until)


class GuardedRoute(APIRoute):
    """A route that needs the admin key. It reads the body only of a request that holds the key, and
    only up to the limit; a JSON body is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the two checks."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            part_of(request, Authenticator).require_key(request.headers)
            body = await read_body(request, part_of(request, ApiState).max_body)

            async def receive() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            inner = _ReadRequest(request.scope, receive)
            if body and self.body_field is not None and _is_json(request.headers):
                inner.value = json_of(body)
            return await handle(inner)

        return guarded


class _ReadRequest(Request):
    """A request whose JSON body was read already."""

    value: Any = None

    async def json(self) -> Any:
        return self.value


def _is_json(headers: Mapping[str, str]) -> bool:
    """Whether FastAPI would read the body as JSON, by its content type."""
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    kind, _, subtype = media.partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def given_key(headers: Mapping[str, str]) -> str:
    """The key in a request's headers; empty if there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises a Problem: 413 as soon as it is over ``limit`` bytes, 400 if it ends early.

    The HTTP layer bounds the time in which it arrives.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            parts.append(part)
    except ClientDisconnect:
        raise Problem(400, "the body ended early") from None
    return b"".join(parts)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is over the limit of {limit} bytes")
