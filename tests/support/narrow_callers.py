"""Callers that are narrowed to namespaces, types or streams, each with a key of its own."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import websockets

from event_gateway.api.access.authenticator import Authenticator
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.cli.process.serve import Running
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import ADMIN
from support.client import BATCH, STRUCTURED, Socket
from support.patience import PATIENCE


class NarrowCallers:
    """A method of authentication that knows the callers of a test."""

    def __init__(self, running: Running) -> None:
        self._url = running.http_url
        self._principals: dict[str, Principal] = {}
        authenticator = running.gateway.asgi.app.state.parts[Authenticator]
        authenticator._in_order = (self, *authenticator._in_order)
        authenticator._methods["api_key"] = self  # which is asked whether a key is still valid

    def authenticate(self, request: CallerRequest) -> Principal | None:
        """The caller of a key that this method has issued."""
        return self._principals.get(request.bearer)

    def still_valid(self, principal: Principal) -> bool:
        """Always."""
        return True

    @contextlib.asynccontextmanager
    async def caller(self, *scopes: str, **narrowed: Any) -> AsyncIterator["NarrowCaller"]:
        """A caller with these scopes, by default all."""
        key = f"test_{secrets.token_hex(8)}"
        self._principals[key] = Principal(
            name=f"key-{key[-4:]}", method="api_key", id=key[-12:],
            scopes=frozenset(scopes or (ADMIN,)), **narrowed,
        )  # fmt: skip
        async with httpx.AsyncClient(
            base_url=self._url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        ) as http:
            yield NarrowCaller(http, key)


class NarrowCaller:
    """An HTTP client with the key of a caller."""

    def __init__(self, http: httpx.AsyncClient, key: str) -> None:
        self.http = http
        self.key = key

    async def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        """The JSON of an answer, which must have this status."""
        answer = await self.http.request(method, path, **request)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def send(self, sent: Any, status: int = 202) -> Any:
        """Publishes an event, or a list of events."""
        headers = BATCH if isinstance(sent, list) else STRUCTURED
        return await self.ask(
            "POST", "/v1/events", status, content=json.dumps(sent), headers=headers
        )

    @contextlib.asynccontextmanager
    async def websocket(self, query: str = "", *subprotocols: str) -> AsyncIterator[Socket]:
        """A WebSocket client."""
        url = str(self.http.base_url).replace("http", "ws", 1).rstrip("/") + f"/v1/ws?{query}"
        # Without pings, as in Client.websocket.
        async with websockets.connect(
            url.rstrip("?"), additional_headers={"Authorization": f"Bearer {self.key}"},
            subprotocols=list(subprotocols) or None,  # type: ignore[arg-type]
            ping_interval=None,
        ) as connection:  # fmt: skip
            yield Socket(connection)

    async def read_sse(self, path: str, until: bytes) -> bytes:
        """The beginning of an event stream, until it contains a text."""
        content = b""
        async with asyncio.timeout(PATIENCE), self.http.stream("GET", path) as answer:
            assert answer.status_code == 200
            async for chunk in answer.aiter_raw():
                content += chunk
                if until in content:
                    break
        return repr(answer.headers.raw).encode() + content
