"""A TCP relay that passes requests on and, when told to, loses the answer and the connection, or
the end of a request."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from redis.asyncio import Redis

from event_gateway.state.connection import close, connect
from support.tcp_server import tcp_connection, tcp_server

CALL = re.compile(rb"\*\d+\r\n\$7\r\nEVALSHA\r\n")  # the beginning of a call of a script


@dataclass
class AnswerLoss:
    """``to_lose``: so many of the next answers are lost, each with its connection; ``lost`` counts
    those that were. ``passes``: so many calls of scripts are passed on, then the connection is
    lost, once; None: all."""

    target: int
    to_lose: int = 0
    lost: int = 0
    passes: int | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one connection on."""
        async with tcp_connection("127.0.0.1", self.target) as (there, back):
            with contextlib.suppress(ConnectionError):
                await asyncio.gather(self._requests(reader, back), self._answers(there, writer))

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            if self.passes is not None:
                calls = [found.start() for found in CALL.finditer(data)]
                if len(calls) > self.passes:
                    back.write(data[: calls[self.passes]])
                    self.passes = None
                    break
                self.passes -= len(calls)
            back.write(data)
        back.close()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(1 << 20):
            if self.to_lose:
                self.to_lose -= 1
                self.lost += 1
                break
            writer.write(data)
        writer.close()


@contextlib.asynccontextmanager
async def losing_answers(url: str) -> AsyncIterator[tuple[AnswerLoss, Redis]]:
    """A relay to the Redis at ``url`` on the loopback, and a client through it."""
    address = urlsplit(url)
    assert address.port
    relay = AnswerLoss(address.port)
    async with tcp_server(relay.serve) as port:
        credentials = address.netloc.rpartition("@")[0]
        client = await connect(f"redis://{credentials}@127.0.0.1:{port}")
        try:
            yield relay, client
        finally:
            await close(client)
