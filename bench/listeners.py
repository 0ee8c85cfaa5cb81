"""Live subscribers of a gateway, of another server or of the bare broadcast, in a separate process.

They read the frames of a server (RFC 6455) and count events; their own cost is not measured.
"""

import asyncio
import base64
import json
import multiprocessing
import os
import resource
import socket
import time
from array import array
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench.receiver import WIDTH
from event_gateway.embedded.process import killed_with_parent

CONCURRENT_CONNECTS = 200
MARK = b'"sent":"'


@dataclass(frozen=True)
class Dialect:
    """How the subscribers of a server speak: the ``path`` of the handshake and its ``headers``, the
    text that subscribes, and what the answer to it contains. A ``ping`` is a text that the server
    sends now and then, and wants back."""

    path: str
    headers: tuple[tuple[str, str], ...]
    subscribe: bytes
    subscribed: bytes
    ping: bytes = b""


def gateway(key: str) -> Dialect:
    """The subscribers of the gateway's stream ``bench``."""
    return Dialect(
        path="/v1/ws",
        headers=(("Authorization", f"Bearer {key}"),),
        subscribe=json.dumps({"action": "subscribe", "stream": "bench"}).encode(),
        subscribed=b'"subscribed"',
    )


class _Listener(asyncio.Protocol):
    """A subscriber: subscribes to its stream, then counts the events."""

    def __init__(self, seen: "_Seen", hello: bytes, dialect: Dialect | None) -> None:
        self._seen = seen
        self._hello, self._dialect = hello, dialect
        self._rest = b""
        self._shaken = dialect is None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self._hello:
            transport.write(self._hello)  # type: ignore[attr-defined]
        else:
            self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        if not self._shaken:
            head, separator, data = data.partition(b"\r\n\r\n")
            assert separator
            assert b" 101 " in head.partition(b"\r\n")[0], head
            self._shaken = True
            assert self._dialect is not None
            self._send(self._dialect.subscribe)
        at, end = 0, len(data)
        while end - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, begin = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end - begin < size or begin > end:
                break
            if data[at] == 0x81:
                self._frame(data, begin, begin + size)
            at = begin + size
        self._rest = data[at:]

    def _frame(self, data: bytes, begin: int, end: int) -> None:
        dialect = self._dialect
        if not self.ready.done():
            assert dialect is not None
            text = data[begin:end]
            assert b'"error"' not in text, text
            if dialect.subscribed in text:
                self.ready.set_result(None)
            return
        if dialect is not None and data[begin:end] == dialect.ping:
            self._send(dialect.ping)
            return
        # A server may put several events into a frame.
        self._seen.count += data.count(MARK, begin, end) or 1
        if self._seen.latencies is not None:
            at = data.find(MARK, begin, end)
            while at >= 0:
                at += len(MARK)
                self._seen.latencies.append(time.monotonic_ns() - int(data[at : at + WIDTH]))
                at = data.find(MARK, at, end)

    def _send(self, text: bytes) -> None:
        self.transport.write(_masked(text))  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        self._seen.lost += 1


class _Seen:
    """The events of all subscribers of a process."""

    def __init__(self, *, timed: bool) -> None:
        self.count = 0
        self.lost = 0
        self.latencies: array[int] | None = array("q") if timed else None


def _masked(text: bytes) -> bytes:
    size = bytes((0x80 | len(text),)) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2, "big")
    return b"\x81" + size + b"\0\0\0\0" + text  # a mask of zeros does not change the text


def _hello(host: str, dialect: Dialect) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in dialect.headers)
    return (
        f"GET {dialect.path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{lines}"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    ).encode()


async def _listen(
    pipe: Any, url: str, dialect: Dialect | None, count: int, silent: int, timed: bool
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard >= count + 100, f"a limit of {hard} files is too low"
    at = urlsplit(url)
    hello = b"" if dialect is None else _hello(at.netloc, dialect)
    seen, loop = _Seen(timed=timed), asyncio.get_running_loop()

    def listener() -> _Listener:
        return _Listener(seen, hello, dialect)

    listeners = []
    for first in range(0, count, CONCURRENT_CONNECTS):
        connected = await asyncio.gather(*(
            loop.create_connection(listener, str(at.hostname), at.port or 0)
            for _ in range(min(CONCURRENT_CONNECTS, count - first))
        ))  # fmt: skip
        listeners += [protocol for _, protocol in connected]
        await asyncio.gather(*(protocol.ready for _, protocol in connected))
    # These subscribe to their stream, and then read nothing.
    unread = []
    for _ in range(silent):
        assert dialect is not None
        subscriber = socket.socket()
        subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        subscriber.connect((str(at.hostname), at.port or 0))
        subscriber.sendall(hello)
        await asyncio.sleep(0.2)
        subscriber.recv(4096)
        subscriber.sendall(_masked(dialect.subscribe))
        unread.append(subscriber)
    await asyncio.sleep(0.2)
    pipe.send("ready")
    while (await asyncio.to_thread(pipe.recv)) == "counts":
        pipe.send((seen.count, seen.lost, bytes(seen.latencies) if seen.latencies else b""))


def _run(*arguments: Any) -> None:
    killed_with_parent()
    uvloop.run(_listen(*arguments))


class Listeners:
    """``count`` subscribers of a server; without a dialect, of the bare broadcast."""

    def __init__(
        self,
        url: str,
        dialect: Dialect | None,
        count: int,
        *,
        silent: int = 0,
        timed: bool = False,
    ) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(
            target=_run, args=(theirs, url, dialect, count, silent, timed), daemon=True
        )
        self._process.start()
        theirs.close()

    async def ready(self) -> None:
        """Returns when all of them are subscribed."""
        assert await asyncio.to_thread(self._pipe.recv) == "ready"

    async def counts(self) -> tuple[int, int, "array[int]"]:
        """Received events, lost connections, latencies in ns."""
        self._pipe.send("counts")
        count, lost, latencies = await asyncio.to_thread(self._pipe.recv)
        return count, lost, array("q", latencies)

    async def until(self, events: int, timeout: float) -> None:
        """Returns when ``events`` events have been received. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            received = 0
            while received < events:
                received, lost, _ = await self.counts()
                assert not lost, f"{lost} connections were lost"
                await asyncio.sleep(0.05)

    def end(self) -> None:
        """Ends the process of the subscribers."""
        self._process.terminate()
        self._process.join()
