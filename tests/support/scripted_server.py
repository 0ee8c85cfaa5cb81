"""Raw TCP servers for tests: they send scripted, often invalid responses, or count connections."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any

from support.tcp_server import tcp_server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class ScriptedServer:
    """Sends scripted responses: for each request the next list of pieces.

    A piece is bytes to send, seconds to wait, or None to close. The last list repeats. ``reads``:
    whether the server reads a request before it responds.
    """

    def __init__(self, *scripts: Iterable[bytes | float | None], reads: bool = True) -> None:
        self.scripts = [list(script) for script in scripts]
        self.reads = reads
        self.connections = 0
        self.requests = 0
        self.responses = 0  # scripts that have come to their end
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                if self.reads:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(4)
                script = self.scripts[min(self.requests, len(self.scripts) - 1)]
                self.requests += 1
                try:
                    for piece in script:
                        if piece is None:
                            return
                        if isinstance(piece, bytes):
                            writer.write(piece)
                            await writer.drain()
                        else:
                            await asyncio.sleep(piece)
                finally:
                    self.responses += 1
                if not self.reads:
                    await reader.read()
                    return

    @contextlib.asynccontextmanager
    async def running(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        async with tcp_server(self, tls=tls) as port:
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
            yield self.url


class Listening:
    """A server on the same port of several addresses; ``connections`` counts them by address."""

    def __init__(self) -> None:
        self.port = 0
        self.connections: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def on(self, *addresses: str) -> AsyncIterator["Listening"]:
        async with contextlib.AsyncExitStack() as stack:
            for address in addresses:
                self.connections[address] = 0
                serving = tcp_server(self._serve(address), address, self.port)
                self.port = await stack.enter_async_context(serving)
            yield self

    def _serve(self, address: str) -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections[address] += 1
            await ScriptedServer([OK])(reader, writer)

        return serve


def drip(data: bytes, pause: float) -> list[bytes | float | None]:
    """A script that sends the data byte by byte."""
    return [piece for byte in data for piece in (bytes((byte,)), pause)]
