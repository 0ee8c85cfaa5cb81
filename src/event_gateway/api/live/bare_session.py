"""A client with the subprotocol ``cloudevents.json``: it gets CloudEvents and nothing else.

CloudEvents, WebSocket protocol binding 1.0.2. The connection has one subscription, from its query
string. Everything but events is told by the close code.
"""

import asyncio
from collections.abc import Mapping

from event_gateway.api.live.close_codes import (
    FORBIDDEN,
    GOING_AWAY,
    POLICY,
    TOO_MANY,
    TOO_SLOW,
    TRY_AGAIN,
    reason_of,
)
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.requests import read_query
from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.core.access.principal import Principal
from event_gateway.streaming.framing import BareFraming
from event_gateway.streaming.live_subscriptions import LiveSubscriptions, new_id
from event_gateway.streaming.refusal import SubscriptionRefused
from event_gateway.streaming.send_buffer import SendBuffer
from event_gateway.tasks import spawn

SUBPROTOCOL = "cloudevents.json"
_CLOSE_CODES = {"forbidden": FORBIDDEN, "unavailable": TRY_AGAIN, "too_many": TOO_MANY}


class BareSession:
    """One connection."""

    __slots__ = (
        "_buffer", "_connections", "_id", "_query", "_socket", "_subscriptions", "_task",
        "principal",
    )  # fmt: skip

    def __init__(
        self,
        subscriptions: LiveSubscriptions,
        connections: Connections,
        principal: Principal,
        query: Mapping[str, str],
    ) -> None:
        self._subscriptions = subscriptions
        self._connections = connections
        self.principal = principal
        self._query = query
        self._id = new_id()
        self._buffer = SendBuffer(subscriptions.budget, self._flush)
        self._socket: WebSocketProtocol | None = None
        self._task: asyncio.Task[None] | None = None

    def opened(self, socket: WebSocketProtocol) -> None:
        """Counts the connection and subscribes; closes it if its key has too many."""
        self._socket = socket
        self._buffer.open(socket.send_now)
        if not self._connections.add(self, socket):
            socket.close(TOO_MANY, self._connections.too_many)
            return
        self._task = spawn(self._begin(), name="ws-begin")

    def received(self, message: str | bytes) -> None:
        """Closes the connection: the subprotocol has no messages from clients."""
        if self._socket is not None:
            self._socket.close(POLICY, f"{SUBPROTOCOL} takes no messages from clients")

    def drained(self) -> None:
        """Sends what is in the buffer."""
        self._buffer.flush()

    def closed(self) -> None:
        """Ends the subscription."""
        socket, self._socket = self._socket, None
        self._buffer.close()
        self._connections.remove(self, socket)
        if self._task is None or self._task.done():
            reason = reason_of(None if socket is None else socket.close_code)
            self._subscriptions.end_soon(self._id, reason)

    def refuse(self, code: int, reason: str) -> None:
        """Closes the connection."""
        if self._socket is not None:
            self._socket.close(code, reason)

    async def going_away(self) -> None:
        """Tells the client to connect again, to another process."""
        if self._socket is not None:
            self._socket.close(GOING_AWAY, "the gateway restarts")

    async def _begin(self) -> None:
        try:
            await self._subscriptions.begin(
                self.principal, read_query(self._query), self._id, self._buffer, BareFraming(),
                joined=lambda seq: None, on_ended=self._ended,
            )  # fmt: skip
        except SubscriptionRefused as refused:
            if self._socket is not None:
                code = _CLOSE_CODES.get(refused.code, POLICY)
                self._socket.close(code, f"{refused.code}: {refused.detail}")
            return
        if self._socket is None:  # the connection closed while the subscription began
            await self._subscriptions.end(self._id, "closed")

    def _ended(self, subscription_id: str, code: str) -> None:
        if self._socket is not None:
            slow = code.startswith("missed")
            self._socket.close(TOO_SLOW if slow else POLICY, code)

    def _flush(self, buffer: SendBuffer) -> None:
        socket = self._socket
        if socket is None:
            buffer.take()
        elif socket.writable:
            socket.send(buffer.take())
