"""What waits in front of one connection's socket, bounded in bytes."""

import asyncio
from collections.abc import Callable

# Bytes that may wait for one connection. Behind it, its subscribers leave the live feed.
BUFFER = 1024 * 1024
# Bytes that may wait for all connections of a process; past it each may have no more than LEAST.
ALL = 256 * 1024 * 1024
LEAST = 64 * 1024

Piece = tuple[
    bytes, bytes
]  # a frame in two parts: what is its subscriber's own, and what all share


class Budget:
    """The bytes that wait for all connections of a process."""

    def __init__(self, limit: int = ALL) -> None:
        self.limit = limit
        self.used = 0


class Outbox:
    """The frames that wait for one connection.

    ``flush`` is called after frames were put, and where the buffer is full: it hands them to the
    socket (with :meth:`take`) if that takes any.
    """

    __slots__ = ("_budget", "_flush", "_limit", "_pieces", "_waiting", "bytes")

    def __init__(
        self, budget: Budget, flush: Callable[["Outbox"], None], limit: int = BUFFER
    ) -> None:
        self._budget = budget
        self._flush = flush
        self._limit = limit
        self._pieces: list[Piece] = []
        self._waiting: list[asyncio.Future[None]] | None = None
        self.bytes = 0

    @property
    def full(self) -> bool:
        """Whether the connection has fallen behind its buffer."""
        return self.bytes >= self._limit or (
            self._budget.used >= self._budget.limit and self.bytes >= LEAST
        )

    def put(self, own: bytes, shared: bytes) -> None:
        """Adds a frame; the caller heeds ``full``, and calls :meth:`flush` in the end."""
        size = len(own) + len(shared)
        self._pieces.append((own, shared))
        self.bytes += size
        self._budget.used += size

    def flush(self) -> None:
        """Hands what waits to the socket, where it takes any."""
        if self._pieces:
            self._flush(self)

    def take(self) -> list[Piece]:
        """All frames that wait."""
        pieces, self._pieces = self._pieces, []
        self._budget.used -= self.bytes
        self.bytes = 0
        if self._waiting:
            for one in self._waiting:
                if not one.done():
                    one.set_result(None)
            self._waiting = None
        return pieces

    async def room(self) -> None:
        """Returns once it is not full."""
        while self.full:
            waiting = asyncio.get_running_loop().create_future()
            if self._waiting is None:
                self._waiting = []
            self._waiting.append(waiting)
            await waiting
