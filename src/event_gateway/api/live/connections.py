"""All live connections of a process: counts them by key, and closes those that are dead."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from event_gateway.api.http.limits import LIVE_WRITE_TIMEOUT
from event_gateway.api.live.close_codes import TOO_SLOW, UNAUTHENTICATED
from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.beats import beat
from event_gateway.config.server_model import SubscribersModel
from event_gateway.core.access.principal import Principal
from event_gateway.tasks import spawn

# Seconds.
PING_AFTER = 25.0  # without a byte from the client, until the gateway pings it
DEAD_AFTER = 90.0  # without a byte from the client, until its connection counts as dead
STALLED_AFTER = LIVE_WRITE_TIMEOUT  # in which the client reads none of its pending messages
CHECK_INTERVAL = 5.0
ACCESS_INTERVAL = 1.0  # between two checks whether callers may still call

AT_ONCE = 256  # connections that are checked in one turn of the event loop: some 0.1 ms
NOT_VALID = "the key or token has expired, was revoked, or allows less than before"


class LiveConnection(Protocol):
    """A connection with its subscriptions. ``principal``: the caller that opened it."""

    @property
    def principal(self) -> Principal: ...

    def refuse(self, code: int, reason: str) -> None:
        """Ends it with a WebSocket close code, or what the protocol has in its place."""

    async def going_away(self) -> None:
        """Tells the client to connect elsewhere; returns once the message is sent."""


class Connections:
    """The live connections, counted by the key that opened them, or the user of its tokens.

    ``still_valid`` says whether a caller could open its connection again; ``limit_reached`` counts
    that a limit of ``limits`` refused something, by its name.
    """

    def __init__(
        self,
        limits: SubscribersModel,
        still_valid: Callable[[Principal], bool],
        limit_reached: Callable[[str], None],
    ) -> None:
        self.limits = limits
        self.limit_reached = limit_reached
        self._still_valid = still_valid
        self._counts: Counter[str] = Counter()
        self._connections: set[LiveConnection] = set()
        self._sockets: set[WebSocketProtocol] = set()

    @property
    def too_many(self) -> str:
        """The reason for a client when :meth:`add` returns False."""
        return f"this key has {self.limits.max_connections} connections, the most it may have"

    def add(self, connection: LiveConnection, socket: WebSocketProtocol | None = None) -> bool:
        """Adds a connection; False if its key has as many as it may. A ``socket`` is pinged."""
        holder = connection.principal.holder
        if self._counts[holder] >= self.limits.max_connections:
            self.limit_reached("subscriber_connections")
            return False
        self._counts[holder] += 1
        self._connections.add(connection)
        if socket is not None:
            self._sockets.add(socket)
        return True

    def remove(self, connection: LiveConnection, socket: WebSocketProtocol | None = None) -> None:
        """Removes a connection, if it was added."""
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        if socket is not None:
            self._sockets.discard(socket)
        holder = connection.principal.holder
        self._counts[holder] -= 1
        if not self._counts[holder]:
            del self._counts[holder]

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
            await beat(CHECK_INTERVAL)
            now = loop.time()
            for number, socket in enumerate(list(self._sockets), 1):
                if socket in self._sockets:
                    check(socket, now)
                if number % AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def watch_access(self) -> None:
        """Ends the connections whose callers may not call any more. It never returns."""
        while True:
            await beat(ACCESS_INTERVAL)
            connections = list(self._connections)
            for first in range(0, len(connections), AT_ONCE):
                if first:
                    await asyncio.sleep(0)
                self._check_access(connections[first : first + AT_ONCE])

    def _check_access(self, connections: list[LiveConnection]) -> None:
        # All connections of a key have one principal, about which one answer is enough.
        valid: dict[int, bool] = {}
        for connection in connections:
            principal = connection.principal
            answer = valid.get(id(principal))
            if answer is None:
                answer = valid[id(principal)] = self._still_valid(principal)
            if not answer and connection in self._connections:
                connection.refuse(UNAUTHENTICATED, NOT_VALID)


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
