"""The client of NATS in tests leaves no connection open."""

import asyncio
import contextlib

from support.bus import connect_bus
from support.patience import PATIENCE
from support.tcp_server import tcp_server


async def test_a_connection_whose_handshake_fails_is_closed() -> None:
    """As with a nats-server that is killed: it accepts, and says nothing more."""
    cut = asyncio.Event()
    ended: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id": "s", "version": "2.12.0", "max_payload": 1024}\r\n')
        if not cut.is_set():
            while b"PING" not in await reader.readline():
                pass
            writer.write(b"PONG\r\n")
            await cut.wait()
            return
        with contextlib.suppress(ConnectionError):
            ended.append(await reader.read())

    async with tcp_server(accept) as port:
        bus = await connect_bus(
            f"nats://127.0.0.1:{port}", connect_timeout=1, max_reconnect_attempts=-1,
            reconnect_time_wait=0,
        )  # fmt: skip
        cut.set()
        async with asyncio.timeout(PATIENCE):
            while len(ended) < 2:  # the server sees the ends of those that it does not answer
                await asyncio.sleep(0.01)
        await bus.close()
