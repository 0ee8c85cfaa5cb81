"""The relays of the tests leave no connection to the server behind them, also none in use."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from support.answer_loss import AnswerLoss
from support.certificates import Authority
from support.noting_relay import relayed
from support.patience import PATIENCE
from support.proxy import ConnectProxy
from support.relay import Relay
from support.secured_servers import behind_tls
from support.tcp_server import tcp_server

# A relay to a port of the loopback interface: yields its own.
Front = Callable[[int], AbstractAsyncContextManager[int]]


@contextlib.asynccontextmanager
async def _noting(port: int) -> AsyncIterator[int]:
    async with relayed(f"http://127.0.0.1:{port}") as relay:
        yield int(relay.url.rpartition(":")[2])


@contextlib.asynccontextmanager
async def _losing(port: int) -> AsyncIterator[int]:
    async with tcp_server(AnswerLoss(port).serve) as front:
        yield front


@contextlib.asynccontextmanager
async def _relay(port: int) -> AsyncIterator[int]:
    async with Relay(port).running() as relay:
        yield relay.port


async def _leave_open(front: Front, to_front: ssl.SSLContext | None, first: bytes) -> None:
    """Ends a relay while a connection through it is open on both sides."""
    started, ended = asyncio.Event(), asyncio.Event()

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.set()
        with contextlib.suppress(ConnectionError):
            await reader.read()
        ended.set()

    async with tcp_server(server) as port:
        async with front(port) as relay:
            _, writer = await asyncio.open_connection(
                "127.0.0.1", relay, ssl=to_front, server_hostname="127.0.0.1" if to_front else None
            )
            writer.write(first.replace(b"PORT", b"%d" % port))
            async with asyncio.timeout(PATIENCE):
                await started.wait()
        async with asyncio.timeout(PATIENCE):
            await ended.wait()  # the relay has closed its side
        writer.transport.abort()


@pytest.mark.parametrize("front", [_noting, _losing, _relay])
async def test_a_relay_that_ends_closes_its_connections(front: Front) -> None:
    await _leave_open(front, None, b"hello")


async def test_a_relay_keeps_the_order_of_what_it_holds_up() -> None:
    """It passes on nothing while it holds, and nothing overtakes what was slowed."""
    arrived = bytearray()
    ended = asyncio.Event()

    async def server(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            arrived.extend(data)
        ended.set()

    async with tcp_server(server) as port, Relay(port).running() as relay:
        _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        relay.hold()
        sent = b""
        for number in range(30):
            if number == 10:
                assert not arrived
                relay.delay = 0.01
                relay.release()
            if number == 20:
                relay.delay = 0.0
            piece = b"%d," % number + bytes(1000 * number)
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
            sent += piece
        async with asyncio.timeout(PATIENCE):
            while len(arrived) < len(sent):
                await asyncio.sleep(0.01)
            assert arrived == sent
            writer.close()
            await ended.wait()


async def test_a_relay_with_tls_that_ends_closes_its_connections(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    await _leave_open(
        lambda port: behind_tls(port, authority.server()), authority.client(), b"hello"
    )


async def test_a_proxy_that_ends_closes_its_connections() -> None:
    @contextlib.asynccontextmanager
    async def front(port: int) -> AsyncIterator[int]:
        async with ConnectProxy().running() as proxy:
            yield proxy.port

    await _leave_open(front, None, b"CONNECT 127.0.0.1:PORT HTTP/1.1\r\n\r\n")
