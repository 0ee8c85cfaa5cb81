"""A TCP relay in front of a gateway, which records each HTTP request and can refuse connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from support.tcp_server import tcp_connection, tcp_server


@dataclass
class NotingRelay:
    """``lines``: the first line of each request. While ``refusing``, connections are closed."""

    target: str
    url: str = ""
    lines: list[str] = field(default_factory=list)
    refusing: bool = False
    refused: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection."""
        address = urlsplit(self.target)
        assert address.hostname
        assert address.port
        async with tcp_connection(address.hostname, address.port) as (there, back):
            await asyncio.gather(
                self._pass_on(reader, back, True), self._pass_on(there, writer, False)
            )

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bool
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self.refusing:
                    self.refused += 1
                    break
                if note and b" HTTP/1.1\r\n" in data:
                    self.lines.append(data.split(b"\r\n")[0].decode())
                writer.write(data)
        writer.close()


@contextlib.asynccontextmanager
async def relayed(target: str) -> AsyncIterator[NotingRelay]:
    """A relay to the URL ``target``, on a free port of the loopback."""
    relay = NotingRelay(target)
    async with tcp_server(relay.serve) as port:
        relay.url = f"http://127.0.0.1:{port}"
        yield relay
