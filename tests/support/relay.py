"""A TCP relay in front of a server, whose connections can be cut, stopped and slowed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Relays bytes to ``port`` of the loopback interface, each ``delay`` seconds late, none while
    held.."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._held: set[str] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = 0.0
        self.port = 0

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._writers) // 2

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.release()
            self.cut()
            await asyncio.gather(*self._serving, return_exceptions=True)

    def lead_to(self, port: int | None) -> None:
        """Relays connections that are opened from now on to another port."""
        assert port
        self._target = port

    def cut(self) -> None:
        """Aborts all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self, source: str = "") -> None:
        """Relays nothing until :meth:`release`, of connections from one address or (empty) of all;
        the connections stay open, as in a network that drops every packet."""
        self._held.add(source)
        self._flows.clear()

    def release(self) -> None:
        """Relays bytes again."""
        self._held.clear()
        self._flows.set()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        source = writer.get_extra_info("peername")[0]
        writers = (writer, there_writer)
        self._writers.update(writers)
        try:
            await asyncio.gather(
                self._pass_on(source, reader, there_writer),
                self._pass_on(source, there_reader, writer),
            )
        finally:
            self._writers.difference_update(writers)
            for end in writers:
                end.transport.abort()

    async def _pass_on(
        self, source: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                while self._held & {"", source}:
                    await self._flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
            while self._held & {"", source}:  # no end arrives either
                await self._flows.wait()
        writer.transport.abort()
