"""A TCP relay that passes requests on and, when told to, loses the answer and the connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from support.tcp_server import tcp_server


@dataclass
class AnswerLoss:
    """``to_lose``: so many of the next answers are lost, each with its connection; ``lost`` counts
    those that were."""

    target: int
    port: int = 0
    to_lose: int = 0
    lost: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes one connection on."""
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._requests(reader, back), self._answers(there, writer))

    async def _requests(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
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
async def losing_answers(port: int) -> AsyncIterator[AnswerLoss]:
    """A relay to a port of the loopback."""
    relay = AnswerLoss(port)
    async with tcp_server(relay.serve) as relay.port:
        yield relay
