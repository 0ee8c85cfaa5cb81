"""The receiver of all programs: a process that responds with 204 and records latencies."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import httptools
import uvloop

from event_gateway.embedded.process import killed_with_parent

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
MARK = b'"sent":"'
WIDTH = 20  # digits of the time (CLOCK_MONOTONIC, ns) at which an event was due to be published
MAX_LATENCIES = 2_000_000


class _Receiving(asyncio.Protocol):
    def __init__(self, seen: "Receiver") -> None:
        self._count, self._latencies = seen.shared, seen.noted
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        number = self._count[0]
        at = self._body.find(MARK)
        if at >= 0 and number < MAX_LATENCIES:
            sent = int(self._body[at + len(MARK) : at + len(MARK) + WIDTH])
            self._latencies[number] = time.monotonic_ns() - sent
        self._count[0] = number + 1
        self._count[1] = time.monotonic_ns()
        self._body = b""
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


class Receiver:
    """The counts and latencies of the receiver, in memory that both processes share."""

    def __init__(self) -> None:
        self.shared = multiprocessing.RawArray("q", 2)
        self.noted = multiprocessing.RawArray("q", MAX_LATENCIES)
        self.port = 0

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return int(self.shared[0])

    @property
    def last(self) -> float:
        """When the latest request arrived, in seconds of CLOCK_MONOTONIC."""
        return float(self.shared[1]) / 1e9

    def latencies(self, since: int) -> list[float]:
        """Milliseconds from when an event was due until it arrived, without the first ``since``."""
        return [latency / 1e6 for latency in self.noted[since : self.count] if latency]

    def reset(self) -> None:
        """Resets the counts. No request may be in flight."""
        self.shared[0] = 0


def _serve(receiver: Receiver, port: Any) -> None:
    killed_with_parent()

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Receiving(receiver), "127.0.0.1", port.value, backlog=4096
        )
        port.value = server.sockets[0].getsockname()[1]
        receiver.shared[1] = 1  # it listens
        await server.serve_forever()

    uvloop.run(serve())


@contextlib.contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver in a separate process."""
    receiver = Receiver()
    chosen = multiprocessing.RawValue("i", port)
    process = multiprocessing.Process(target=_serve, args=(receiver, chosen), daemon=True)
    process.start()
    while not receiver.shared[1]:
        time.sleep(0.01)
    receiver.port = chosen.value
    try:
        yield receiver
    finally:
        process.terminate()
        process.join()
