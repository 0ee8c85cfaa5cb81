"""A page in a real browser subscribes, loses its connection, and resumes without a gap."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from event_gateway.cli.process.serve import Running
from support.browser import page
from support.client import Client, connected, event
from support.fixtures import Start
from support.patience import PATIENCE, allowance
from support.program import LOOPBACK, Program
from support.stopping import stop_process
from support.tcp_server import pass_on, tcp_connection, tcp_server

pytestmark = pytest.mark.browser
PAGE = Path(__file__).parents[2] / "examples" / "live.html"
STREAMS = {"streams": {"work": {"subjects": ["scheduler.job.*"]}}}


@pytest.fixture
async def gateway(start: Start) -> Running:
    return await start(STREAMS)  # type: ignore[no-any-return]


class Wire:
    """A relay to the gateway at ``port`` whose connections can be cut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.whole = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relays one connection."""
        if not self.whole:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            async with tcp_connection("127.0.0.1", self.port) as (there, back):
                self._writers |= {writer, back}
                await asyncio.gather(pass_on(reader, back), pass_on(there, writer))
                self._writers -= {writer, back}

    def cut(self) -> None:
        """Aborts all connections, as a lost network does, and refuses new ones."""
        self.whole = False
        for writer in self._writers:
            writer.transport.abort()


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
                ".map(item => item.textContent.split(' ')[1]).join()"
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
        # A page of the same origin, whose policy lets it call the gateway.
        url = f"http://127.0.0.1:{relay}/docs"
        shown = await stack.enter_async_context(page(tmp_path / "browser", url))
        await shown.until("location.pathname === '/docs'")
        await shown.value(
            "window.got = []; window.opened = 0;"
            f"window.source = new EventSource('/v1/streams/work/sse?from=first&token="
            f"{answer.json()['token']}');"
            "source.onopen = () => { opened += 1 };"
            "source.onmessage = message => got.push(Number(message.lastEventId)); 1"
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


LISTEN = """
window.got = []; window.opened = 0; window.ended = [];
window.source = new EventSource('/v1/streams/work/sse?from=first&token=%s');
source.onopen = () => { opened += 1 };
source.onmessage = message => {
    got.push([Number(message.lastEventId), JSON.parse(message.data).data.n]);
};
source.addEventListener('unsubscribed', told => ended.push(JSON.parse(told.data).code)); 1
"""
CLOSED = "source.readyState === EventSource.CLOSED"
INDENTED = {
    "ce-specversion": "1.0", "ce-source": "tests", "ce-type": "scheduler.job.done",
    "content-type": "application/json",
}  # fmt: skip


async def _send(client: Client, numbers: range) -> None:
    """Sends events whose data has every kind of line break, until each is accepted."""
    for number in numbers:
        body = b'{\r\n  "a": 1,\n\n  "b": 2,\r  "n": %d\r}\r\n' % number
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await client.http.post(
                    "/v1/events", content=body, headers=INDENTED | {"ce-id": str(number)}
                )
                if answer.status_code == 202:
                    break
                await asyncio.sleep(0.2)


async def test_an_event_source_survives_restarts_and_outages(tmp_path: Path) -> None:
    """It gives up for good on every status but 200."""
    program = Program(tmp_path, LOOPBACK | STREAMS)
    wire = Wire(0)
    try:
        async with contextlib.AsyncExitStack() as stack:
            relay = await stack.enter_async_context(_serving(wire.serve))
            at = await program.start()
            wire.port = int(at["http"].rpartition(":")[2])
            shown = await stack.enter_async_context(
                page(tmp_path / "browser", f"http://127.0.0.1:{relay}/docs")
            )
            await shown.until("location.pathname === '/docs'")
            async with connected(at["http"], at["nats"], at["key"]) as client:
                answer = await client.http.post("/v1/tokens", json={"streams": ["work"]})
                await shown.value(LISTEN % answer.json()["token"])
                await shown.until("opened === 1")
                # The connection is lost before its first event.
                wire.cut()
                await _send(client, range(1, 6))
                wire.whole = True
                await shown.until("got.length === 5")
            assert await program.stop() == 0
            at = await program.start()
            wire.port = int(at["http"].rpartition(":")[2])
            async with connected(at["http"], at["nats"], at["key"]) as client:
                await _send(client, range(6, 11))
                await shown.until("got.length === 10")
                nats = int((program.data / "nats.pid").read_text())
                stop_process(nats)
                try:
                    wire.cut()
                    before = await shown.value("opened")
                    wire.whole = True
                    # It is answered, and comes again.
                    await shown.until(f"opened > {before}")
                    assert not await shown.value(CLOSED)
                finally:
                    os.kill(nats, signal.SIGCONT)
                os.kill(nats, signal.SIGKILL)
                await _send(client, range(11, 16))
                await shown.until("got.length === 15")
                expected = ",".join(f"{n},{n}" for n in range(1, 16))
                assert await shown.value("got.join()") == expected
    finally:
        await program.stop()
    assert "Traceback" not in program.output, program.output


async def test_an_event_source_gives_up_where_that_is_right(
    client: Client, gateway: Running, tmp_path: Path
) -> None:
    wire = Wire(int(gateway.http_url.rpartition(":")[2]))
    body = {"name": "gone", "subjects": ["user.*"]}
    assert (await client.http.post("/v1/streams", json=body)).status_code == 201
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(_serving(wire.serve))
        url = f"http://127.0.0.1:{relay}/docs"
        shown = await stack.enter_async_context(page(tmp_path / "browser", url))
        await shown.until("location.pathname === '/docs'")
        answer = await client.http.post("/v1/tokens", json={"streams": ["work", "gone"]})
        token = answer.json()["token"]
        # An operator ends its subscription: it connects once more, and stays away.
        await shown.value(LISTEN % token)
        await shown.until("opened === 1")
        listed = (await client.http.get("/v1/subscriptions")).json()["items"]
        assert (await client.http.delete(f"/v1/subscriptions/{listed[0]['id']}")).is_success
        await shown.until(CLOSED)
        assert await shown.value("[opened, ended].join()") == "1,closed_by_operator"
        # The stream is deleted.
        began = time.monotonic()
        await shown.value(LISTEN.replace("work", "gone") % token)
        await shown.until("opened === 1")
        lifetime = allowance(2, time.monotonic() - began, 10)
        assert (await client.http.delete("/v1/streams/gone")).status_code == 204
        await shown.until(CLOSED)
        assert await shown.value("[opened, ended].join()") == "1,stream_deleted"
        # The token has expired when it connects again.
        answer = await client.http.post(
            "/v1/tokens", json={"streams": ["work"], "expires_in": f"{lifetime}s"}
        )
        await shown.value(LISTEN % answer.json()["token"])
        await shown.until("opened === 1")
        await asyncio.sleep(lifetime + 0.1)
        wire.cut()
        wire.whole = True
        await shown.until(CLOSED)
        assert await shown.value("[opened, ended].join()") == "1,"
