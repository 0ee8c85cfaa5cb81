"""Connections to the console: what nobody who has not signed in may take of it."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from event_gateway.console import connections
from event_gateway.console.settings import ConsoleSettings
from support.patience import PATIENCE
from support.served_console import NO_GATEWAY, served_console

ASK = b"GET /healthz HTTP/1.1\r\nHost: console\r\n\r\n"
Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def _console(directory: Path) -> AsyncIterator[int]:
    """A console without a gateway; its port."""
    settings = ConsoleSettings(gateway_url=NO_GATEWAY, directory=str(directory))
    async with served_console(settings) as url:
        yield int(url.rpartition(":")[2])


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


async def _answer(peer: Peer) -> bytes:
    reader, writer = peer
    writer.write(ASK)
    async with asyncio.timeout(PATIENCE):
        return await reader.readuntil(b"ok")


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    async with _console(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: console\r\n" + b"X: y\r\n" * 50_000)
        await _until_closed(reader)  # with an answer, unless the rest of the head is faster
        writer.close()


async def test_a_form_of_somebody_unknown_is_small(tmp_path: Path) -> None:
    async with _console(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        origin = f"Origin: http://127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}\r\n".encode()
        writer.write(b"POST /sign-in HTTP/1.1\r\n" + origin + b"Content-Length: 200000\r\n\r\n")
        writer.write(b"k" * 100_000)
        async with asyncio.timeout(PATIENCE):
            assert b" 400 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HT", b"POST /sign-in HTTP/1.1\r\nHost: c\r\n", ASK + b"GET / HT"]
)
async def test_a_request_that_does_not_arrive_ends_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "ARRIVAL", 0.2)
    async with _console(tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await _until_closed(reader)
        writer.close()


async def test_connections_that_wait_make_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 3)
    async with _console(tmp_path) as port:
        peers: list[Peer] = []
        for _ in range(6):
            peers.append(await asyncio.open_connection("127.0.0.1", port))
            assert b" 200 " in await _answer(peers[-1])
        for reader, _ in peers[:3]:
            await _until_closed(reader)
        for peer in peers[3:]:
            assert b" 200 " in await _answer(peer)
        for _, writer in peers:
            writer.close()


async def test_an_answer_that_nobody_reads_ends_its_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READING", 0.2)
    async with _console(tmp_path) as port:
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setblocking(False)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while True:  # until what the console has written fills all buffers
                    await loop.sock_sendall(peer, ASK.replace(b"/healthz", b"/sign-in") * 100)
        peer.close()
