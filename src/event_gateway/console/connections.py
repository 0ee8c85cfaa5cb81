"""HTTP connections of the console: bounds their number, what a request may hold before its sender
is known, and how long it may take to arrive and its answer to be read.

A head has at most 64 KiB, which is uvicorn's bound where h11 parses; httptools has none.
"""

import asyncio
import time
from collections.abc import Iterable

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 500  # of all users
ARRIVAL = 30.0  # seconds from the connection, or the first byte of a request, to its last one
READING = 60.0  # seconds for which a browser may leave an answer unread


class BoundedConnection(H11Protocol):
    """A connection that ends when its time is over. Where all connections are taken, the one that
    has been open longest, and waits for a request, makes room for the next."""

    _arrival: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The connection was accepted."""
        super().connection_made(transport)
        self.made_at = time.monotonic()
        if len(self.connections) > MAX_CONNECTIONS and not _make_room(self.connections, self):
            transport.abort()
            return
        self._arrival = self.loop.call_later(ARRIVAL, self.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """The browser sent something."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.more_body and not self.cycle.response_complete:
            if self._arrival is not None:
                self._arrival.cancel()
                self._arrival = None
        elif self._arrival is None:
            self._arrival = self.loop.call_later(ARRIVAL, self.abort)

    def pause_writing(self) -> None:
        """The browser does not read."""
        super().pause_writing()
        self._reading = self.loop.call_later(READING, self.abort)

    def resume_writing(self) -> None:
        """The browser reads again."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    @property
    def idle(self) -> bool:
        """Whether nothing that a page waits for is under way."""
        if self.transport.is_closing():
            return True
        return self.cycle is None or self.cycle.response_complete

    def abort(self) -> None:
        """Closes it at once."""
        self._cancel()
        self.connections.discard(self)
        self.transport.abort()

    def _cancel(self) -> None:
        for timer in (self._arrival, self._reading):
            if timer is not None:
                timer.cancel()


def _make_room(connections: Iterable[object], new: BoundedConnection) -> bool:
    """Closes a connection; False if none is idle."""
    idle = [
        each
        for each in connections
        if isinstance(each, BoundedConnection) and each is not new and each.idle
    ]
    if not idle:
        return False
    min(idle, key=lambda each: each.made_at).abort()
    return True
