"""A way to a gateway that can be shut, and on which requests are noted; it passes bytes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Way:
    """``lines``: the first line of each request that came. While ``shut``, who comes is refused."""

    target: str
    url: str = ""
    lines: list[str] = field(default_factory=list)
    shut: bool = False
    refused: int = 0

    async def taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one connection on."""
        place = urlsplit(self.target)
        there, back = await asyncio.open_connection(place.hostname, place.port)
        await asyncio.gather(self._pass_on(reader, back, True), self._pass_on(there, writer, False))

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self.shut:
                    self.refused += 1
                    break
                if note and b" HTTP/1.1\r\n" in data:
                    self.lines.append(data.split(b"\r\n")[0].decode())
                writer.write(data)
        writer.close()


@contextlib.asynccontextmanager
async def way(target: str) -> AsyncIterator[Way]:
    """A way on a free port of the loopback."""
    made = Way(target)
    server = await asyncio.start_server(made.taken, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    server.close()
