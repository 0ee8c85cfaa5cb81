"""An OAuth 2.0 authorization server for tests: real HTTP, client credentials only (RFC 6749)."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.receiver import serving


@dataclass
class TokenServer:
    """Issues ``token-1``, ``token-2``, … to clients with the right id and secret.

    ``expires_in`` is in seconds, as is ``delay`` before each response. ``status`` is that of the
    response; without 200 there is no token. ``requests``: the received forms, each with ``how`` the
    client authenticated (``basic`` or ``body``).
    """

    url: str = ""
    client_id: str = "gateway"
    secret: str = "s3cret: of the client"
    expires_in: float | str | None = 3600
    delay: float = 0.0
    status: int = 200
    token_type: str = "Bearer"
    requests: list[dict[str, str]] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The token that was issued last."""
        return f"token-{len(self.requests)}"

    async def _answer(self, request: Request) -> Response:
        form = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        how = "body"
        if scheme == "Basic":
            how = "basic"
            client_id, _, secret = base64.b64decode(encoded).decode().partition(":")
            form |= {
                "client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)
            }  # fmt: skip
        self.requests.append(form | {"how": how})
        token = self.last
        await asyncio.sleep(self.delay)
        if self.status != 200:
            return JSONResponse({"error": "temporarily_unavailable"}, self.status)
        right = {"client_id": self.client_id, "client_secret": self.secret,
                 "grant_type": "client_credentials"}  # fmt: skip
        if not right.items() <= form.items():
            description = f"no client has the secret {form.get('client_secret')}"
            return JSONResponse({"error": "invalid_client", "error_description": description}, 401)
        answer: dict[str, Any] = {"access_token": token, "token_type": self.token_type}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return JSONResponse(answer)


@contextlib.asynccontextmanager
async def running_token_server() -> AsyncIterator[TokenServer]:
    """A token server on a free port of the loopback interface."""
    server = TokenServer()
    route = Route("/token", server._answer, methods=["POST"])
    async with serving(Starlette(routes=[route])) as url:
        server.url = f"{url}/token"
        yield server
