"""Messages of a JetStream stream as Server-Sent Events, for a client that follows it."""

import contextlib
import time
from collections.abc import AsyncGenerator

from fastapi import Response
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from event_gateway.api.http.exchange import HEAD_ONLY
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.sse_response import (
    HEARTBEAT,
    RETRY,
    become_live,
    event_stream_headers,
    head_response,
)
from event_gateway.api.server.problems import Problem
from event_gateway.broker.pull import Pulled
from event_gateway.core.access.principal import Principal
from event_gateway.streaming.event_stream import event_block, position_block
from event_gateway.tasks import end, spawn


class RecordStream(Response):
    """The response to one client. ``batches``: the messages, an empty batch after a second without
    any. It holds one batch at a time: a slow client slows only itself."""

    def __init__(
        self,
        batches: AsyncGenerator[list[Pulled], None],
        connections: Connections,
        principal: Principal,
    ) -> None:
        super().__init__(headers=event_stream_headers())
        del self.headers["content-length"]
        self._batches = batches
        self._connections = connections
        self.principal = principal
        self._position = 0
        self._over = False

    def begin(self, request: Request, position: int) -> Response:
        """The response, which begins behind a sequence. Raises Problem where the process has no
        room for another live connection."""
        if request.scope[HEAD_ONLY]:
            return head_response()
        become_live(request)
        if not self._connections.add(self):
            raise Problem(429, self._connections.too_many)
        self._position = position
        return self

    def refuse(self, code: int, reason: str) -> None:
        """Ends the response within a second. The client that connects again is told why."""
        self._over = True

    async def going_away(self) -> None:
        """Ends the response within a second; the client connects again."""
        self._over = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response (ASGI)."""
        leaving = spawn(self._wait_for_disconnect(receive), name="sse-client")
        try:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            body = position_block(self._position, retry=RETRY)
            sent = time.monotonic()
            await send({"type": "http.response.body", "body": body, "more_body": True})
            async with contextlib.aclosing(self._batches) as batches:
                async for batch in batches:
                    if self._over:
                        break
                    body = b"".join([event_block(each.seq, each.data) for each in batch])
                    if not body and time.monotonic() - sent > HEARTBEAT:
                        body = b":\n\n"
                    if body:
                        sent = time.monotonic()
                        await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._connections.remove(self)
            await end([leaving])

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._over = True
