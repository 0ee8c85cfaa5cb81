"""The frames that wait for one connection's socket, bounded in bytes."""

import asyncio
from collections.abc import Callable

# Bytes that may wait for one connection. Beyond them, its subscribers leave the live feed.
BUFFER = 1024 * 1024
# Bytes that may wait for all connections of a process. Beyond them, each may have LEAST.
ALL = 256 * 1024 * 1024
LEAST = 64 * 1024

# A frame in two parts: the subscriber's own, and the part that all subscribers share.
Piece = tuple[bytes, bytes]


class BufferBudget:
    """The bytes that wait for all connections of a process."""

    def __init__(self, limit: int = ALL) -> None:
        self.limit = limit
        self.used = 0


class SendBuffer:
    """The frames that wait for one connection.

    ``flush`` is called after frames were put, and when the buffer is full: it passes them to the
    socket (with :meth:`take`) if the socket is writable. ``send_now``, from :meth:`open` on, passes
    one frame to the socket and returns True, or False if the frame has to wait. It may be called
    while no other frame waits; a frame alone costs less this way.
    """

    __slots__ = ("_budget", "_flush", "_limit", "_pieces", "_waiters", "bytes", "send_now")

    def __init__(
        self,
        budget: BufferBudget,
        flush: Callable[["SendBuffer"], None],
        *,
        limit: int = BUFFER,
    ) -> None:
        self._budget = budget
        self._flush = flush
        self.send_now: Callable[[bytes, bytes], bool] | None = None
        self._limit = limit
        self._pieces: list[Piece] = []
        self._waiters: list[asyncio.Future[None]] | None = None
        self.bytes = 0

    def open(self, send_now: Callable[[bytes, bytes], bool]) -> None:
        """The socket takes frames from now on."""
        self.send_now = send_now

    def close(self) -> None:
        """The socket takes no more frames; those that wait are dropped."""
        self.send_now = None
        self.take()

    @property
    def full(self) -> bool:
        """Whether the connection has fallen behind its buffer."""
        return self.bytes >= self._limit or (
            self._budget.used >= self._budget.limit and self.bytes >= LEAST
        )

    def put(self, own: bytes, shared: bytes) -> None:
        """Adds a frame. The caller checks ``full`` before, and calls :meth:`flush` at the end."""
        size = len(own) + len(shared)
        self._pieces.append((own, shared))
        self.bytes += size
        self._budget.used += size

    def flush(self) -> None:
        """Passes the waiting frames to the socket, if it is writable."""
        if self._pieces:
            self._flush(self)

    def take(self) -> list[Piece]:
        """Removes and returns all waiting frames."""
        pieces, self._pieces = self._pieces, []
        self._budget.used -= self.bytes
        self.bytes = 0
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters = None
        return pieces

    async def room(self) -> None:
        """Returns once the buffer is not full."""
        while self.full:
            waiter = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter
