"""A client of ``/v1/ws``: several subscriptions on one connection, JSON both ways."""

import asyncio
import json
from collections import deque
from typing import Any

import structlog

from event_gateway.api.live.close_codes import GOING_AWAY, TOO_MANY, UNSUPPORTED, reason_of
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.requests import read_frame, read_subscribe, ref_of
from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.core.access.principal import Principal
from event_gateway.streaming.framing import EnvelopeFraming
from event_gateway.streaming.live_subscriptions import LiveSubscriptions, new_id
from event_gateway.streaming.refusal import SubscriptionRefused
from event_gateway.streaming.send_buffer import SendBuffer
from event_gateway.streaming.subscriber import Subscriber
from event_gateway.tasks import spawn

log = structlog.get_logger(__name__)

MAX_QUEUED = 32  # requests that may wait to be answered; at that number the socket is paused
_DETAILS = {
    "stream_deleted": "the stream was deleted",
    "stream_recreated": "the stream was deleted in NATS and created again",
    "closed_by_operator": "an operator ended the subscription",
    "taken_over": "another connection took over the durable name",
}


class LiveSession:
    """One connection. Answers requests one after the other, in a task that runs only while there
    are any."""

    __slots__ = (
        "_buffer", "_connections", "_reason", "_requests", "_socket", "_subscription_ids",
        "_subscriptions", "_task", "_tokens", "_tokens_at", "principal",
    )  # fmt: skip

    def __init__(
        self, subscriptions: LiveSubscriptions, connections: Connections, principal: Principal
    ) -> None:
        self._subscriptions = subscriptions
        self._connections = connections
        self.principal = principal
        self._buffer = SendBuffer(subscriptions.budget, self._flush)
        self._subscription_ids: set[str] = set()
        self._requests: deque[str] | None = None  # there is one only while it is used: it is large
        self._task: asyncio.Task[None] | None = None
        self._socket: WebSocketProtocol | None = None
        self._reason = "closed"  # why its subscriptions ended
        self._tokens = 0.0  # requests that the rate limit still allows
        self._tokens_at = 0.0  # when they were counted, on the loop's clock

    def opened(self, socket: WebSocketProtocol) -> None:
        """Counts the connection; closes it if its key has too many."""
        self._socket = socket
        self._buffer.open(socket.send_now)
        self._tokens = 2.0 * self._connections.limits.max_requests
        self._tokens_at = socket.received_at
        if not self._connections.add(self, socket):
            socket.close(TOO_MANY, self._connections.too_many)

    def received(self, message: str | bytes) -> None:
        """Queues a request; closes the connection if it is over its rate."""
        socket = self._socket
        assert socket is not None
        if isinstance(message, bytes):
            socket.close(UNSUPPORTED, "frames must be text")
            return
        rate = self._connections.limits.max_requests
        since = socket.received_at - self._tokens_at
        self._tokens = min(2.0 * rate, self._tokens + since * rate)
        self._tokens_at = socket.received_at
        if self._tokens < 1:
            detail = f"more than {rate} requests a second"
            self._send({"type": "error", "ref": None, "code": "too_many_requests",
                        "detail": detail})  # fmt: skip
            socket.close(TOO_MANY, detail)
            self._connections.limit_reached("subscriber_requests")
            return
        self._tokens -= 1
        if self._requests is None:
            self._requests = deque()
        self._requests.append(message)
        if len(self._requests) >= MAX_QUEUED:
            socket.pause()
        if self._task is None:
            self._task = spawn(self._answer_all(), name="ws-requests")

    def drained(self) -> None:
        """Sends what is in the buffer."""
        self._buffer.flush()

    def closed(self) -> None:
        """Answers the acknowledgements that are queued, then ends the client's subscriptions."""
        socket, self._socket = self._socket, None
        if socket is not None:
            self._reason = reason_of(socket.close_code)
        self._buffer.close()
        self._connections.remove(self, socket)
        if self._task is None and self._subscription_ids:
            self._task = self._subscriptions.spawn_ending(self._answer_all())

    def refuse(self, code: int, reason: str) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close(code, reason)

    async def going_away(self) -> None:
        """Tells the client to connect again, to another process."""
        if self._socket is not None:
            self._socket.close(GOING_AWAY, "the gateway restarts")

    def _flush(self, buffer: SendBuffer) -> None:
        socket = self._socket
        if socket is None:
            buffer.take()
        elif socket.writable:
            socket.send(buffer.take())

    async def _answer_all(self) -> None:
        try:
            while True:
                while self._requests:
                    text = self._requests.popleft()
                    if len(self._requests) == MAX_QUEUED // 2 and self._socket is not None:
                        self._socket.resume()
                    await self._answer(text)
                if self._socket is not None or not self._subscription_ids:
                    return
                await self._end(next(iter(self._subscription_ids)), self._reason)
        finally:
            self._task = None
            if not self._requests:
                self._requests = None

    async def _answer(self, text: str) -> None:
        ref = None
        try:
            frame = read_frame(text)
            ref = ref_of(frame)
            action = frame.get("action")
            if self._socket is None and action != "ack":
                return  # the client has gone; its acknowledgements count all the same
            if action == "subscribe":
                await self._subscribe(frame, ref)
            elif action == "unsubscribe":
                await self._unsubscribe(frame, ref)
            elif action == "ack":
                self._acknowledge(frame, ref)
            elif action == "ping":
                self._send({"type": "pong", "ref": ref})
            else:
                raise SubscriptionRefused(
                    "unknown_action", "actions are: subscribe, unsubscribe, ack, ping"
                )
        except SubscriptionRefused as refused:
            self._send(
                {"type": "error", "ref": ref, "code": refused.code, "detail": refused.detail}
            )
        except Exception as error:
            log.error("WebSocket request failed", fault=error)
            detail = "internal error; the gateway's log has the details"
            self._send({"type": "error", "ref": ref, "code": "internal", "detail": detail})

    async def _subscribe(self, frame: dict[str, Any], ref: Any) -> None:
        request = read_subscribe(frame)
        limit = self._connections.limits.max_subscriptions
        if len(self._subscription_ids) >= limit:
            self._connections.limit_reached("subscriptions")
            raise SubscriptionRefused("too_many", f"a connection has at most {limit} subscriptions")
        subscription_id = new_id()

        def joined(seq: int) -> None:
            self._subscription_ids.add(subscription_id)
            self._send({"type": "subscribed", "ref": ref, "subscription": subscription_id,
                        "stream": request.stream, "seq": seq})  # fmt: skip

        await self._subscriptions.begin(
            self.principal, request, subscription_id, self._buffer,
            EnvelopeFraming(subscription_id, request.stream), joined=joined, on_ended=self._ended,
        )  # fmt: skip

    def _ended(self, subscription_id: str, code: str) -> None:
        """The gateway ends a subscription: tells the client why."""
        if subscription_id not in self._subscription_ids:
            return
        self._subscription_ids.discard(subscription_id)
        self._send({"type": "unsubscribed", "ref": None, "subscription": subscription_id,
                    "code": code, "detail": _DETAILS[code]})  # fmt: skip
        self._subscriptions.end_soon(subscription_id, code.replace("_", " "))

    async def _unsubscribe(self, frame: dict[str, Any], ref: Any) -> None:
        subscription_id = self._subscriber_of(frame).id
        await self._end(subscription_id, "unsubscribed")
        self._send({"type": "unsubscribed", "ref": ref, "subscription": subscription_id})

    def _acknowledge(self, frame: dict[str, Any], ref: Any) -> None:
        """Stores a position; the client gets an answer, if it gave a ``ref``, once Redis has it."""
        subscriber = self._subscriber_of(frame)
        seq = frame.get("seq")

        def stored() -> None:
            if ref is not None:
                self._send({"type": "acked", "subscription": subscriber.id,
                            "stream": subscriber.stream, "ref": ref, "seq": seq})  # fmt: skip

        self._subscriptions.names.acknowledge(subscriber, seq, stored)

    def _subscriber_of(self, frame: dict[str, Any]) -> Subscriber:
        subscription_id = frame.get("subscription")
        if isinstance(subscription_id, str) and subscription_id in self._subscription_ids:
            subscriber = self._subscriptions.find(subscription_id)
            if subscriber is not None:
                return subscriber
        raise SubscriptionRefused(
            "unknown_subscription", "this connection has no such subscription"
        )

    async def _end(self, subscription_id: str, reason: str) -> None:
        self._subscription_ids.discard(subscription_id)
        await self._subscriptions.end(subscription_id, reason)

    def _send(self, message: dict[str, Any]) -> None:
        self._buffer.put(json.dumps(message, separators=(",", ":")).encode(), b"")
        self._buffer.flush()
