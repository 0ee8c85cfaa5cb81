"""All live connections of a process: counts them by key, and closes those that are dead."""

import asyncio
from collections import Counter
from typing import Protocol

from event_gateway.api.http.limits import LIVE_WRITE_TIMEOUT
from event_gateway.api.live.close_codes import TOO_SLOW
from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.config.model import SubscribersModel
from event_gateway.tasks import spawn

# Seconds.
PING_AFTER = 25.0  # without a byte from the client, until the gateway pings it
DEAD_AFTER = 90.0  # without a byte from the client, until its connection counts as dead
STALLED_AFTER = LIVE_WRITE_TIMEOUT  # in which the client reads none of its pending messages
CHECK_INTERVAL = 5.0


class LiveConnection(Protocol):
    """A connection with its subscriptions."""

    async def going_away(self) -> None:
        """Tells the client to connect elsewhere; returns once the message is sent."""


class Connections:
    """The live connections, by the name of the principal that opened them."""

    def __init__(self, limits: SubscribersModel) -> None:
        self.limits = limits
        self._counts: Counter[str] = Counter()
        self._connections: set[LiveConnection] = set()
        self._sockets: set[WebSocketProtocol] = set()

    @property
    def too_many(self) -> str:
        """The reason for a client when :meth:`add` returns False."""
        return f"this key has {self.limits.max_connections} connections, the most it may have"

    def add(
        self, principal: str, connection: LiveConnection, socket: WebSocketProtocol | None = None
    ) -> bool:
        """Adds a connection; False if its key has as many as it may. A ``socket`` is pinged."""
        if self._counts[principal] >= self.limits.max_connections:
            return False
        self._counts[principal] += 1
        self._connections.add(connection)
        if socket is not None:
            self._sockets.add(socket)
        return True

    def remove(
        self, principal: str, connection: LiveConnection, socket: WebSocketProtocol | None = None
    ) -> None:
        """Removes a connection, if it was added."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if socket is not None:
            self._sockets.discard(socket)
        self._counts[principal] -= 1
        if not self._counts[principal]:
            del self._counts[principal]

    async def going_away(self, timeout: float) -> None:
        """Tells all clients to connect elsewhere. Returns after ``timeout`` seconds at the latest,
        as some clients do not read."""
        tasks = [
            spawn(connection.going_away(), name="going-away") for connection in self._connections
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    async def watch(self) -> None:
        """Pings idle sockets and closes dead ones. It never returns."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            now = loop.time()
            for socket in list(self._sockets):
                check(socket, now)


def check(socket: WebSocketProtocol, now: float) -> None:
    """Pings a socket if it is idle, closes it if it is dead; ``now`` on the loop's clock."""
    if not socket.writable:
        # The client may be slow. It answers a ping only after it has read all before it.
        if now - socket.moved > STALLED_AFTER:
            socket.close(TOO_SLOW, f"nothing was read for {STALLED_AFTER:.0f} s")
    elif now - max(socket.received_at, socket.moved) > DEAD_AFTER:
        socket.close(TOO_SLOW, f"no sign of life for {DEAD_AFTER:.0f} s")
    elif now - max(socket.received_at, socket.pinged) > PING_AFTER:
        socket.ping()
