"""A live subscriber: its place in a stream, and the bounded buffer in front of its socket."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

# Bytes that may wait for one connection. Behind it, a subscriber leaves the live feed.
BUFFER = 1024 * 1024


class Message(msgspec.Struct, frozen=True):
    """An event at its place in a named stream, encoded once for all who get it."""

    seq: int
    event: str


class Outbox:
    """The frames that wait for one connection."""

    def __init__(self, limit: int = BUFFER) -> None:
        self._limit = limit
        self._frames: deque[str] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()

    @property
    def full(self) -> bool:
        """Whether the connection has fallen behind its buffer."""
        return self._bytes >= self._limit

    def put(self, frame: str) -> None:
        """Adds a frame; the caller heeds ``full``."""
        self._frames.append(frame)
        self._bytes += len(frame)
        self._filled.set()
        if self.full:
            self._drained.clear()

    async def room(self) -> None:
        """Returns once the buffer is at most half full."""
        await self._drained.wait()

    async def take(self) -> list[str]:
        """All frames that wait; waits for one."""
        while not self._frames:
            self._filled.clear()
            await self._filled.wait()
        frames = list(self._frames)
        self._frames.clear()
        return frames

    def sent(self, frames: int) -> None:
        """``frames`` bytes have gone to the socket."""
        self._bytes -= frames
        if self._bytes <= self._limit // 2:
            self._drained.set()


class Subscriber:
    """One subscription. ``position`` is the sequence of the last message put in its outbox."""

    def __init__(
        self,
        subscription_id: str,
        stream: str,
        outbox: Outbox,
        position: int,
        gone: Callable[[str], None],
    ) -> None:
        self.id = subscription_id
        self.stream = stream
        self.outbox = outbox
        self.position = position
        self.gone = gone
        self.sent = 0
        self._head = (
            f'{{"type":"event","subscription":"{subscription_id}","stream":"{stream}","seq":'
        )

    def offer(self, messages: list[Message]) -> bool:
        """Takes what is behind its position; False where its buffer is full before the end."""
        for message in messages:
            if message.seq <= self.position:
                continue
            if self.outbox.full:
                return False
            self.outbox.put(f'{self._head}{message.seq},"event":{message.event}}}')
            self.position = message.seq
            self.sent += 1
        return True

    def tell(self, what: str) -> None:
        """Tells the client of its state: ``lagging`` or ``caught_up``."""
        self.outbox.put(
            f'{{"type":"{what}","subscription":"{self.id}","stream":"{self.stream}",'
            f'"seq":{self.position}}}'
        )
