"""An OAuth 2.0 authorization server for tests: real HTTP, client credentials only (RFC 6749)."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from support.receiver import serving


@dataclass
class TokenServer:
    """Gives ``token-1``, ``token-2``, … to whoever has the right id and secret.

    ``expires_in`` seconds; ``delay`` before each answer; ``status``: what is answered in place of a
    token, if it is not 200. ``asked`` are the forms that came, with how the client said who it is.
    """

    url: str = ""
    client_id: str = "gateway"
    secret: str = "s3cret: of the client"
    expires_in: float | str | None = 3600
    delay: float = 0.0
    status: int = 200
    token_type: str = "Bearer"
    asked: list[dict[str, str]] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The token that was given last."""
        return f"token-{len(self.asked)}"

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
        self.asked.append(form | {"how": how})
        token = self.last
        await asyncio.sleep(self.delay)
        if self.status != 200:
            return JSONResponse({"error": "temporarily_unavailable"}, self.status)
        right = {"client_id": self.client_id, "client_secret": self.secret,
                 "grant_type": "client_credentials"}  # fmt: skip
        if not right.items() <= form.items():
            said = f"no client has the secret {form.get('client_secret')}"
            return JSONResponse({"error": "invalid_client", "error_description": said}, 401)
        answer: dict[str, Any] = {"access_token": token, "token_type": self.token_type}
        if self.expires_in is not None:
            answer["expires_in"] = self.expires_in
        return JSONResponse(answer)


@contextlib.asynccontextmanager
async def giving_tokens() -> AsyncIterator[TokenServer]:
    """A server on a free port of the loopback."""
    made = TokenServer()
    async with serving(Route("/token", made._answer, methods=["POST"])) as url:
        made.url = f"{url}/token"
        yield made
