"""A response of Server-Sent Events, which goes on as long as its client stays."""

import asyncio

from fastapi import Response
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from event_gateway.api.http.exchange import DISCONNECT_REASON, LIVE
from event_gateway.api.live.close_codes import reason_of
from event_gateway.api.live.connections import Connections
from event_gateway.api.server.problems import Problem
from event_gateway.core.access.principal import Principal
from event_gateway.core.streams.subscription import SubscribeRequest
from event_gateway.streaming.event_stream import position_block
from event_gateway.streaming.framing import SseFraming
from event_gateway.streaming.live_subscriptions import LiveSubscriptions, new_id
from event_gateway.streaming.send_buffer import SendBuffer
from event_gateway.tasks import spawn

HEARTBEAT = 15.0  # seconds without an event after which the gateway sends a comment
RETRY = 2000  # ms after which a browser connects again
_FOR_GOOD = "closed_by_operator"  # the end after which a client shall not connect again


def event_stream_headers() -> dict[str, str]:
    """The headers of every event stream."""
    return {
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # a proxy that buffers would delay events
    }


def head_response() -> Response:
    """The answer to HEAD: it begins no subscription, and says no length, as there is none."""
    response = Response(headers=event_stream_headers())
    del response.headers["content-length"]
    return response


def become_live(request: Request) -> None:
    """Counts the connection of a request as a live one from now on. Raises Problem if the process
    has all the live connections that it may have."""
    if (refusal := request.scope["extensions"][LIVE]()) is not None:
        raise Problem(refusal.status, refusal.detail, {"Retry-After": "2"})


class SseResponse(Response):
    """The response to one client."""

    def __init__(
        self, subscriptions: LiveSubscriptions, connections: Connections, principal: Principal
    ) -> None:
        super().__init__(headers=event_stream_headers())
        del self.headers["content-length"]
        self._subscriptions = subscriptions
        self._connections = connections
        self.principal = principal
        self._id = new_id()
        self._buffer = SendBuffer(subscriptions.budget, lambda buffer: self._wake.set())
        self._wake = asyncio.Event()
        self._begins_after = 0
        self._over = False
        self._refused = False  # what waits is not sent any more
        self._reason = "closed"

    async def begin(self, request: SubscribeRequest) -> None:
        """Subscribes. Raises SubscriptionRefused, and Problem if the key has too many
        connections."""
        if not self._connections.add(self):
            raise Problem(429, self._connections.too_many)
        try:
            await self._subscriptions.begin(
                self.principal, request, self._id, self._buffer, SseFraming(),
                joined=self._joined, on_ended=self._ended,
            )  # fmt: skip
        except BaseException:
            self._connections.remove(self)
            raise

    def refuse(self, code: int, reason: str) -> None:
        """Ends the response. The client connects again, and is told why it may not."""
        self._reason = reason_of(code)
        self._over = self._refused = True
        self._wake.set()

    async def going_away(self) -> None:
        """Ends the response; the browser connects again."""
        self._over = True
        self._wake.set()

    def _joined(self, seq: int) -> None:
        self._begins_after = seq

    def _ended(self, subscription_id: str, code: str) -> None:
        self._buffer.put(*SseFraming().ended(code, for_good=code == _FOR_GOOD))
        self._reason = code.replace("_", " ")
        self._over = True
        self._wake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the response (ASGI)."""
        leaving = spawn(self._wait_for_disconnect(receive), name="sse-client")
        try:
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            # A client whose connection is lost before its first event resumes behind this id.
            body = position_block(self._begins_after, retry=RETRY)
            while True:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                if self._refused or (self._over and not self._buffer.bytes):
                    break
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await self._wake.wait()
                except TimeoutError:
                    body = b":\n\n"
                    continue
                self._wake.clear()
                if leaving.done():
                    return
                body = b"".join([part for piece in self._buffer.take() for part in piece])
            await send({"type": "http.response.body", "body": b""})
        finally:
            leaving.cancel()
            self._buffer.take()
            self._connections.remove(self)
            self._subscriptions.end_soon(self._id, self._reason)

    async def _wait_for_disconnect(self, receive: Receive) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            pass
        self._reason = message.get(DISCONNECT_REASON) or self._reason
        self._over = True
        self._wake.set()
