"""A TCP relay in front of a server, whose connections can be cut, stopped and slowed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Relay:
    """Relays bytes to ``port`` of the loopback interface, each ``delay`` seconds late, none while
    held."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.delay = 0.0
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Aborts all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def hold(self) -> None:
        """Relays nothing until :meth:`release`; the connections stay open."""
        self._flows.clear()

    def release(self) -> None:
        """Relays bytes again."""
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        writers = (writer, there_writer)
        self._writers.update(writers)
        try:
            await asyncio.gather(
                self._pass_on(reader, there_writer), self._pass_on(there_reader, writer)
            )
        finally:
            self._writers.difference_update(writers)
            for end in writers:
                end.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flows.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
