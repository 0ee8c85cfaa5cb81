"""All live connections of a process: how many each key may have, and whether they still live."""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import Protocol

from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.config.model import SubscribersModel

PING = 25.0  # seconds without a sign of life after which one is asked for
DEAD = 90.0  # seconds without one after which the connection is
STALLED = 300.0  # seconds for which a client may take nothing of what waits for it
LOOK = 5.0
TOO_SLOW = 4408


class Live(Protocol):
    """A connection with its subscriptions."""

    def going_away(self) -> Awaitable[None]:
        """Tells the client to connect elsewhere; returns once it is told."""


class Connections:
    """The live connections, by the name of who made them."""

    def __init__(self, limits: SubscribersModel) -> None:
        self.limits = limits
        self._of: Counter[str] = Counter()
        self._all: set[Live] = set()
        self._sockets: set[WebSocketProtocol] = set()

    def add(self, name: str, live: Live, socket: WebSocketProtocol | None = None) -> bool:
        """Counts a connection in; False where its key has as many as it may."""
        if self._of[name] >= self.limits.max_connections:
            return False
        self._of[name] += 1
        self._all.add(live)
        if socket is not None:
            self._sockets.add(socket)
        return True

    def remove(self, name: str, live: Live, socket: WebSocketProtocol | None = None) -> None:
        """It is gone."""
        if live not in self._all:
            return
        self._all.discard(live)
        if socket is not None:
            self._sockets.discard(socket)
        self._of[name] -= 1
        if not self._of[name]:
            del self._of[name]

    async def going_away(self, timeout: float) -> None:
        """Tells all clients to connect elsewhere; some do not even read."""
        telling = [asyncio.ensure_future(one.going_away()) for one in list(self._all)]
        if telling:
            await asyncio.wait(telling, timeout=timeout)

    async def watch(self) -> None:
        """Asks idle sockets for a sign of life, and ends those that give none, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK)
            now = loop.time()
            for socket in list(self._sockets):
                check(socket, now)


def check(socket: WebSocketProtocol, now: float) -> None:
    """Looks at one socket, at that time of the loop's clock."""
    if not socket.writable:
        # It may be slow, and answers a ping only once it has read all before it.
        if now - socket.moved > STALLED:
            socket.close(TOO_SLOW, f"nothing was read for {STALLED:.0f} s")
    elif now - max(socket.heard, socket.moved) > DEAD:
        socket.close(TOO_SLOW, f"no sign of life for {DEAD:.0f} s")
    elif now - max(socket.heard, socket.pinged) > PING:
        socket.ping()
