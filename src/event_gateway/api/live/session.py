"""A client of ``/v1/ws``: several subscriptions on one connection, JSON both ways."""

import asyncio
import json
from collections import deque
from typing import Any

import structlog

from event_gateway.api.live.durable_names import acknowledge
from event_gateway.api.live.refused import Refused
from event_gateway.api.live.requests import request_of, wanted_of
from event_gateway.api.live.subscribe import begin, finish, new_id
from event_gateway.api.live.websocket_protocol import GOING_AWAY, UNSUPPORTED, WebSocketProtocol
from event_gateway.api.server.context import Context
from event_gateway.core.access.principal import Principal
from event_gateway.streaming.framing import EnvelopeFraming
from event_gateway.streaming.outbox import Outbox
from event_gateway.streaming.subscriber import Subscriber

log = structlog.get_logger(__name__)

TOO_MANY = 4429
QUEUED = 32  # requests that may wait for their turn; behind them nothing more is read
ENDED = {
    "stream_deleted": "the stream was deleted",
    "closed_by_operator": "an operator ended it",
    "taken_over": "another connection has taken its durable name over",
}


class LiveSession:
    """One connection. Requests are answered in turn; a task runs only while there are some."""

    __slots__ = (
        "_allowed", "_context", "_outbox", "_principal", "_requests", "_since", "_socket",
        "_subscriptions", "_task",
    )  # fmt: skip

    def __init__(self, context: Context, principal: Principal) -> None:
        self._context = context
        self._principal = principal
        self._outbox = Outbox(context.hub.budget, self._flush)
        self._subscriptions: set[str] = set()
        self._requests: deque[str] = deque()
        self._task: asyncio.Task[None] | None = None
        self._socket: WebSocketProtocol | None = None
        self._allowed = 0.0
        self._since = 0.0

    def opened(self, socket: WebSocketProtocol) -> None:
        """Begins."""
        self._socket = socket
        limits = self._context.connections.limits
        self._allowed, self._since = 2.0 * limits.max_requests, socket.heard
        if not self._context.connections.add(self._principal.name, self, socket):
            most = limits.max_connections
            socket.close(TOO_MANY, f"this key has {most} connections, as many as it may")

    def received(self, message: str | bytes) -> None:
        """Takes a request."""
        socket = self._socket
        assert socket is not None
        if isinstance(message, bytes):
            socket.close(UNSUPPORTED, "frames are text")
            return
        rate = self._context.connections.limits.max_requests
        self._allowed = min(2.0 * rate, self._allowed + (socket.heard - self._since) * rate)
        self._since = socket.heard
        if self._allowed < 1:
            self._say({"type": "error", "ref": None, "code": "too_many_requests",
                       "detail": f"more than {rate} requests a second"})  # fmt: skip
            socket.close(TOO_MANY, f"more than {rate} requests a second")
            return
        self._allowed -= 1
        self._requests.append(message)
        if len(self._requests) >= QUEUED:
            socket.pause()
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="ws-requests")

    def drained(self) -> None:
        """Sends what waits."""
        self._outbox.flush()

    def closed(self) -> None:
        """Ends what the client had."""
        socket, self._socket = self._socket, None
        self._outbox.take()
        self._context.connections.remove(self._principal.name, self, socket)
        if self._task is None and self._subscriptions:
            self._task = self._context.later(self._work())

    async def going_away(self) -> None:
        """Tells the client to connect elsewhere."""
        if self._socket is not None:
            self._socket.close(GOING_AWAY, "the gateway restarts")

    def _flush(self, outbox: Outbox) -> None:
        socket = self._socket
        if socket is None:
            outbox.take()
        elif socket.writable:
            socket.send(outbox.take())

    async def _work(self) -> None:
        try:
            while True:
                while self._requests:
                    text = self._requests.popleft()
                    if len(self._requests) == QUEUED // 2 and self._socket is not None:
                        self._socket.resume()
                    await self._answer(text)
                if self._socket is not None or not self._subscriptions:
                    return
                await self._end(next(iter(self._subscriptions)), "closed")
        finally:
            self._task = None

    async def _answer(self, text: str) -> None:
        ref = None
        try:
            request = request_of(text)
            ref = request.get("ref")
            action = request.get("action")
            if self._socket is None and action != "ack":
                return  # it is gone; what it has done counts all the same
            if action == "subscribe":
                await self._subscribe(request, ref)
            elif action == "unsubscribe":
                await self._unsubscribe(request, ref)
            elif action == "ack":
                acknowledge(
                    self._context, self._mine(request), request.get("seq"), request.get("ref")
                )
            elif action == "ping":
                self._say({"type": "pong", "ref": ref})
            else:
                raise Refused("unknown_action", "actions are: subscribe, unsubscribe, ack, ping")
        except Refused as refused:
            self._say({"type": "error", "ref": ref, "code": refused.code, "detail": refused.detail})
        except Exception:
            log.exception("a request on a socket failed")
            detail = "the gateway made a mistake; it is in its log"
            self._say({"type": "error", "ref": ref, "code": "internal", "detail": detail})

    async def _subscribe(self, request: dict[str, Any], ref: Any) -> None:
        wanted = wanted_of(request)
        most = self._context.connections.limits.max_subscriptions
        if len(self._subscriptions) >= most:
            raise Refused("too_many", f"a connection has at most {most} subscriptions")
        subscription_id = new_id()

        def joined(seq: int) -> None:
            self._subscriptions.add(subscription_id)
            self._say({"type": "subscribed", "ref": ref, "subscription": subscription_id,
                       "stream": wanted.stream, "seq": seq})  # fmt: skip

        await begin(
            self._context, self._principal, wanted, subscription_id, self._outbox,
            EnvelopeFraming(subscription_id, wanted.stream), joined=joined, on_ended=self._ended,
        )  # fmt: skip

    def _ended(self, subscription_id: str, code: str) -> None:
        """It ends without the client's doing."""
        if subscription_id not in self._subscriptions:
            return
        self._subscriptions.discard(subscription_id)
        self._say({"type": "unsubscribed", "ref": None, "subscription": subscription_id,
                   "code": code, "detail": ENDED[code]})  # fmt: skip
        self._context.later(finish(self._context, subscription_id, code.replace("_", " ")))

    async def _unsubscribe(self, request: dict[str, Any], ref: Any) -> None:
        subscription_id = self._mine(request).id
        await self._end(subscription_id, "unsubscribed")
        self._say({"type": "unsubscribed", "ref": ref, "subscription": subscription_id})

    def _mine(self, request: dict[str, Any]) -> Subscriber:
        subscription_id = request.get("subscription")
        if isinstance(subscription_id, str) and subscription_id in self._subscriptions:
            subscriber = self._context.hub.subscriber(subscription_id)
            if subscriber is not None:
                return subscriber
        raise Refused("unknown_subscription", "this connection has no such subscription")

    async def _end(self, subscription_id: str, reason: str) -> None:
        self._subscriptions.discard(subscription_id)
        await finish(self._context, subscription_id, reason)

    def _say(self, message: dict[str, Any]) -> None:
        self._outbox.put(json.dumps(message, separators=(",", ":")).encode(), b"")
        self._outbox.flush()
