"""A forward proxy for tests: answers CONNECT, by a script if it has one, and forwards bytes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field

from support.tcp_server import pass_on, tcp_server


@dataclass
class ConnectProxy:
    """``script``: the pieces of an answer in place of a tunnel: bytes to send, seconds to wait,
    None to close.

    ``hosts``: addresses by name, for targets with a name; ``ports``: ports by name, in place of
    those of the targets. ``heads``: the received request heads.
    """

    script: Iterable[bytes | float | None] = ()
    hosts: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def targets(self) -> list[str]:
        """The targets of the received requests, as HOST:PORT."""
        return [head.split()[1] for head in self.heads]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ConnectProxy"]:
        async with tcp_server(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self.script:
                await self._play(reader, writer)
            else:
                await self._tunnel(reader, writer)
        writer.close()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in self.script:
            if piece is None:
                return
            if isinstance(piece, bytes):
                writer.write(piece)
                await writer.drain()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(piece):
                        await reader.read()
                        return  # the client has left
        await reader.read()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.targets[-1].rpartition(":")
        port = str(self.ports.get(host, port))
        host = self.hosts.get(host, host).strip("[]")
        try:
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n")
            return
        # The length means nothing here (RFC 9110 §9.3.6).
        writer.write(b"HTTP/1.1 200 Connection established\r\ncontent-length: 5\r\n\r\n")
        try:
            await asyncio.gather(pass_on(reader, there_writer), pass_on(there_reader, writer))
        finally:
            there_writer.transport.abort()
