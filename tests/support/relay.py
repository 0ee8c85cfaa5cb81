"""A TCP relay in front of a server, whose connections can be cut, stopped and slowed."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import cast


class Relay:
    """Relays bytes to ``port`` of the loopback interface, each ``delay`` seconds late, none while
    held."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._sides: set[_Side] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = 0.0
        self.port = 0

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._sides) // 2

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accepted, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.release()
            for task in self._connecting:
                task.cancel()
            self.cut()
            passing = [side.passing for side in self._sides if side.passing is not None]
            await asyncio.gather(*self._connecting, *passing, return_exceptions=True)

    def lead_to(self, port: int | None) -> None:
        """Relays connections that are opened from now on to another port."""
        assert port
        self._target = port

    def cut(self) -> None:
        """Aborts all connections."""
        for side in list(self._sides):
            side.transport.abort()

    def hold(self, source: str = "") -> None:
        """Relays nothing until :meth:`release`, of connections from one address or (empty) of all;
        the connections stay open, as in a network that drops every packet."""
        self._held.add(source)
        self._flows.clear()

    def release(self) -> None:
        """Relays bytes again."""
        self._held.clear()
        self._flows.set()

    def hinders(self, source: str) -> bool:
        """Whether bytes of connections from this address do not pass at once."""
        return bool(self.delay or self._held & {"", source})

    async def flows(self, source: str) -> None:
        """Waits while connections from this address are held."""
        while self._held & {"", source}:
            await self._flows.wait()

    def opened(self, side: "_Side") -> None:
        self._sides.add(side)

    def closed(self, side: "_Side") -> None:
        self._sides.discard(side)

    def connect(self, client: "_Side") -> None:
        """Opens the connection to the server for that of a client."""
        task = asyncio.create_task(self._connect(client))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _accepted(self) -> "_Side":
        return _Side(self, None)

    async def _connect(self, client: "_Side") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Side(self, client), "127.0.0.1", self._target)
        except OSError:
            client.transport.abort()
        else:
            client.pass_on_waiting()


class _Side(asyncio.Protocol):
    """One of the two connections. What comes goes to the ``other`` one at once; what must wait, and
    all after it, waits in order, while nothing more is read."""

    def __init__(self, relay: Relay, client: "_Side | None") -> None:
        self._relay = relay
        self.other = client
        self._waiting: deque[bytes | None] = deque()  # None: the end
        self.passing: asyncio.Task[None] | None = None
        self.is_writable = asyncio.Event()
        self.is_writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._relay.opened(self)
        if self.other is None:
            self.source = transport.get_extra_info("peername")[0]
            self._relay.connect(self)
            return
        self.source = self.other.source
        self.other.other = self
        if self.other.transport.is_closing():
            self.transport.abort()

    def pass_on_waiting(self) -> None:
        """Passes on what has come before there was another side."""
        if self._waiting and self.passing is None:
            self.passing = asyncio.create_task(self._pass_on_later())

    def data_received(self, data: bytes) -> None:
        self._pass_on(data)

    def eof_received(self) -> bool:
        self._pass_on(None)
        return True  # the transport stays open until the end has been passed on

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.closed(self)
        self.is_writable.set()
        self._pass_on(None)

    def pause_writing(self) -> None:
        self.is_writable.clear()

    def resume_writing(self) -> None:
        self.is_writable.set()

    def _pass_on(self, data: bytes | None) -> None:
        if not self._waiting and self.passing is None and self._passes_at_once():
            self._write(data)
            return
        self._waiting.append(data)
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if self.other is not None:
            self.pass_on_waiting()

    def _passes_at_once(self) -> bool:
        other = self.other
        return other is not None and other.is_writable.is_set() and not (
            self._relay.hinders(self.source)
        )  # fmt: skip

    async def _pass_on_later(self) -> None:
        assert self.other is not None
        while self._waiting:
            data = self._waiting.popleft()
            await self._relay.flows(self.source)
            if self._relay.delay and data is not None:
                await asyncio.sleep(self._relay.delay)
            await self.other.is_writable.wait()
            self._write(data)
        self.passing = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _write(self, data: bytes | None) -> None:
        assert self.other is not None
        if self.other.transport.is_closing():
            return
        if data is None:
            self.other.transport.abort()
        else:
            self.other.transport.write(data)
