"""The transport of a connection: it pauses, ends in an orderly way, and does not wait for ever."""

import asyncio

from event_gateway.api.http import limits

NEVER = float("inf")


class Wire:
    """Times on the loop's clock. ``read_deadline``: until when the client must have sent what is
    due from it, or the end of the connection; ``write_deadline``: until when it must have read some
    of what waits for it. ``live``: the response is a stream of events. ``over``: what the client
    sends is dropped. ``client_done``: the client sends no more."""

    __slots__ = (
        "_closing", "_linger_left", "_linger_until", "_loop", "_reading_paused", "_transport",
        "_unwritten", "_writable", "client_done", "live", "over", "read_deadline",
        "write_deadline", "writing_paused",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self.read_deadline = self.write_deadline = NEVER
        self.live = self.over = self.client_done = False
        self.writing_paused = False
        self._writable: asyncio.Event | None = None
        self._unwritten = 0  # bytes, when the write deadline was set
        self._reading_paused = False
        self._closing = False  # as soon as all is written
        self._linger_until = 0.0
        self._linger_left = 0

    def write(self, data: bytes) -> None:
        """Writes a piece of a response."""
        self._transport.write(data)

    async def writable(self) -> None:
        """Waits until the client has read enough of what was written."""
        if self._writable is None:
            self._writable = asyncio.Event()
        await self._writable.wait()

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self.writing_paused = True
        self._unwritten = self._transport.get_write_buffer_size()
        self.write_deadline = self._loop.time() + self._write_timeout()

    def resume_writing(self) -> None:
        """The transport's buffer has room, or the client does not read any more."""
        self.write_deadline = NEVER
        self.writing_paused = False
        if self._writable is not None:
            self._writable.set()
            self._writable = None

    def pause_reading(self) -> None:
        """Enough has come for now."""
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        if self._reading_paused and not self.client_done and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    def end(self, *, unread: bool) -> None:
        """Closes once all is written. ``unread``: the client may still be sending. If the
        connection were closed then, the client would see a reset in place of the answer: what it
        sends is read and dropped first."""
        if self._transport.is_closing():
            return
        if unread and not self.client_done and self._transport.can_write_eof():
            self.linger(limits.LINGER_TIMEOUT)
        else:
            self.close()

    def close(self) -> None:
        """Closes once all is written."""
        self.over = self._closing = True
        self._unwritten = self._transport.get_write_buffer_size()
        self.read_deadline = self._loop.time() + limits.WRITE_TIMEOUT
        self._transport.close()

    def linger(self, timeout: float) -> None:
        """Writes no more, and drops what the client sends until it closes, for ``timeout`` seconds
        at most."""
        now = self._loop.time()
        self.over = True
        self._linger_until = now + timeout
        self._linger_left = limits.MAX_LINGER
        self.read_deadline = now + min(timeout, limits.LINGER_IDLE)
        self._transport.write_eof()
        self.resume_reading()

    def drop(self, size: int) -> None:
        """The client sent ``size`` bytes that are dropped."""
        self._linger_left -= size
        if self._linger_left < 0:
            self._transport.abort()
        else:
            self.read_deadline = min(self._loop.time() + limits.LINGER_IDLE, self._linger_until)

    def abort(self) -> None:
        """Closes at once; the client sees a reset."""
        self._transport.abort()

    def close_at_once(self) -> None:
        """Closes, without waiting for the client."""
        if self.over or self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self.close()

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Another protocol takes the connection."""
        self.over = True
        self.read_deadline = self.write_deadline = NEVER
        protocol.connection_made(self._transport)
        self._transport.set_protocol(protocol)

    def reads_too_slowly(self, now: float) -> bool:
        """Whether the client has read too little of what waits for it; else it gets more time."""
        if now < self.write_deadline:
            return False
        self.write_deadline = now + self._write_timeout()
        return not self._progress()

    def check_end(self, now: float) -> None:
        """The connection was to be closed by now: aborts it, unless the client still reads."""
        if self._closing and self._progress():
            self.read_deadline = now + limits.WRITE_TIMEOUT
        else:
            self._transport.abort()

    def _progress(self) -> bool:
        before, self._unwritten = self._unwritten, self._transport.get_write_buffer_size()
        return 0 < self._unwritten <= before - limits.MIN_READ

    def _write_timeout(self) -> float:
        return limits.LIVE_WRITE_TIMEOUT if self.live else limits.WRITE_TIMEOUT
