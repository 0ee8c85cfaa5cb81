"""A client with the subprotocol ``cloudevents.json``: it gets CloudEvents and nothing else.

CloudEvents, WebSocket protocol binding 1.0.2. One subscription, from the query string;
what there is to say beside its events is said with the close code.
"""

import asyncio
from collections.abc import Mapping

from event_gateway.api.live.refused import Refused
from event_gateway.api.live.requests import wanted_of_query
from event_gateway.api.live.subscribe import begin, finish, new_id
from event_gateway.api.live.websocket_protocol import GOING_AWAY, WebSocketProtocol
from event_gateway.api.server.context import Context
from event_gateway.core.access.principal import Principal
from event_gateway.streaming.framing import BareFraming
from event_gateway.streaming.outbox import Outbox

SUBPROTOCOL = "cloudevents.json"
POLICY = 1008
FORBIDDEN = 4403
TOO_SLOW = 4408
TOO_MANY = 4429
_CODES = {"forbidden": FORBIDDEN, "unavailable": 1013, "too_many": TOO_MANY}


class BareSession:
    """One connection."""

    __slots__ = ("_context", "_id", "_outbox", "_principal", "_query", "_socket", "_task")

    def __init__(self, context: Context, principal: Principal, query: Mapping[str, str]) -> None:
        self._context = context
        self._principal = principal
        self._query = query
        self._id = new_id()
        self._outbox = Outbox(context.hub.budget, self._flush)
        self._socket: WebSocketProtocol | None = None
        self._task: asyncio.Task[None] | None = None

    def opened(self, socket: WebSocketProtocol) -> None:
        """Subscribes."""
        self._socket = socket
        if not self._context.connections.add(self._principal.name, self, socket):
            most = self._context.connections.limits.max_connections
            socket.close(TOO_MANY, f"this key has {most} connections, as many as it may")
            return
        self._task = asyncio.create_task(self._begin(), name="ws-begin")

    def received(self, message: str | bytes) -> None:
        """There is nothing to be asked here."""
        if self._socket is not None:
            self._socket.close(POLICY, f"{SUBPROTOCOL} takes nothing from its clients")

    def drained(self) -> None:
        """Sends what waits."""
        self._outbox.flush()

    def closed(self) -> None:
        """Ends the subscription."""
        socket, self._socket = self._socket, None
        self._outbox.take()
        self._context.connections.remove(self._principal.name, self, socket)
        if self._task is None or self._task.done():
            self._context.later(finish(self._context, self._id, "closed"))

    async def going_away(self) -> None:
        """Tells the client to connect elsewhere."""
        if self._socket is not None:
            self._socket.close(GOING_AWAY, "the gateway restarts")

    async def _begin(self) -> None:
        try:
            await begin(
                self._context, self._principal, wanted_of_query(self._query), self._id,
                self._outbox, BareFraming(), joined=lambda seq: None, on_ended=self._ended,
            )  # fmt: skip
        except Refused as refused:
            if self._socket is not None:
                code = _CODES.get(refused.code, POLICY)
                self._socket.close(code, f"{refused.code}: {refused.detail}")
            return
        if self._socket is None:
            await finish(self._context, self._id, "closed")  # it went away meanwhile

    def _ended(self, subscription_id: str, code: str) -> None:
        if self._socket is not None:
            slow = code.startswith("missed")
            self._socket.close(TOO_SLOW if slow else POLICY, code)

    def _flush(self, outbox: Outbox) -> None:
        socket = self._socket
        if socket is None:
            outbox.take()
        elif socket.writable:
            socket.send(outbox.take())
