"""A page in a real browser subscribes, loses its connection, and resumes without a gap."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from event_gateway.cli.process.serve import Running
from support.browser import page
from support.client import Client, event
from support.fixtures import Start
from support.tcp_server import tcp_server

pytestmark = pytest.mark.browser
PAGE = Path(__file__).parents[2] / "examples" / "live.html"
STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*"]}}}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


class Wire:
    """A relay to the gateway whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.whole = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection."""
        if not self.whole:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, back}
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        self._writers -= {writer, back}

    def cut(self) -> None:
        """Aborts all connections, as a lost network does, and refuses new ones."""
        self.whole = False
        for writer in self._writers:
            writer.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _give_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = PAGE.read_bytes()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: %d\r\n"
                 b"connection: close\r\n\r\n%b" % (len(body), body))  # fmt: skip
    writer.close()


@contextlib.asynccontextmanager
async def _serving(answer: Any) -> AsyncIterator[int]:
    async with tcp_server(answer) as port:
        yield port


async def test_a_page_resumes_without_a_gap(
    client: Client, gateway: Running, tmp_path: Path
) -> None:
    wire = Wire(int(gateway.http_url.rpartition(":")[2]))
    answer = await client.http.post("/v1/tokens", json={"streams": ["work"]})
    async with _serving(wire.serve) as relay, _serving(_give_page) as web:
        given = urlencode({"url": f"ws://127.0.0.1:{relay}/v1/ws", "stream": "work",
                           "token": answer.json()["token"]})  # fmt: skip
        async with page(tmp_path / "browser", f"http://127.0.0.1:{web}/#{given}") as shown:
            await shown.until("document.getElementById('state')?.textContent === 'live'")
            sent = [event("scheduler.job.done") for _ in range(300)]
            await client.send(sent[:100])
            await shown.until("document.getElementById('count').textContent === '100'")
            wire.cut()
            await shown.until("document.getElementById('state').textContent !== 'live'")
            await client.send(sent[100:200])
            wire.whole = True
            await shown.until("document.getElementById('state').textContent === 'live'")
            await client.send(sent[200:])
            await shown.until("document.getElementById('count').textContent === '300'")
            ids = await shown.value(
                "[...document.querySelectorAll('#events li')]"
                ".map(one => one.textContent.split(' ')[1]).join()"
            )
            assert ids.split(",") == [item["id"] for item in sent]
            assert await shown.value("document.getElementById('gaps').textContent") == "0"
            assert int(await shown.value("document.getElementById('connections').textContent")) == 2


async def test_a_page_gets_server_sent_events_and_resumes(
    client: Client, gateway: Running, tmp_path: Path
) -> None:
    """The browser's own EventSource, which sends Last-Event-ID by itself."""
    wire = Wire(int(gateway.http_url.rpartition(":")[2]))
    answer = await client.http.post("/v1/tokens", json={"streams": ["work"]})
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(_serving(wire.serve))
        # Any page of the same origin will do.
        url = f"http://127.0.0.1:{relay}/healthz"
        shown = await stack.enter_async_context(page(tmp_path / "browser", url))
        await shown.until("location.pathname === '/healthz'")
        await shown.value(
            "window.got = []; window.opened = 0;"
            f"window.source = new EventSource('/v1/streams/work/sse?from=first&token="
            f"{answer.json()['token']}');"
            "source.onopen = () => { opened += 1 };"
            "source.onmessage = one => got.push(Number(one.lastEventId)); 1"
        )
        await shown.until("opened === 1")
        await client.send([event("scheduler.job.done") for _ in range(50)])
        await shown.until("got.length === 50")
        wire.cut()
        await client.send([event("scheduler.job.done") for _ in range(50)])
        wire.whole = True
        await shown.until("got.length >= 100")
        assert await shown.value("got.join()") == ",".join(map(str, range(1, 101)))
        assert await shown.value("opened") == 2
