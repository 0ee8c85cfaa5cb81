"""Posts events to a gateway, from a process that costs as little as the floor.

asyncio.Protocol, httptools and kept connections, one request after another on each of them.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import httptools
import uvloop

from bench.load import event
from event_gateway.embedded.process import killed_with_parent

CONNECTIONS = 64
SINGLE, BATCH = b"application/cloudevents+json", b"application/cloudevents-batch+json"


@dataclass(frozen=True)
class Posts:
    """``count`` events of a type, numbered from ``first``, with ``each`` events in a request."""

    event_type: str
    first: int
    count: int
    each: int

    def bodies(self) -> Iterator[bytes]:
        """The bodies of the requests."""
        for begin in range(self.first, self.first + self.count, self.each):
            end = min(begin + self.each, self.first + self.count)
            events = [event(number, self.event_type) for number in range(begin, end)]
            yield events[0] if self.each == 1 else b"[%b]" % b",".join(events)


class _Posting(asyncio.Protocol):
    """Sends the requests one after another on one connection."""

    def __init__(self, head: bytes, bodies: Iterator[bytes], done: "asyncio.Future[None]") -> None:
        self._head, self._bodies, self._done = head, bodies, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status == 202:
            self._send()
        else:
            self._end(RuntimeError(f"the gateway responded with {status}"))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(error or ConnectionError("the gateway has closed a connection"))

    def _send(self) -> None:
        body = next(self._bodies, None)
        if body is None:
            self._end(None)
            return
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))  # type: ignore[attr-defined]

    def _end(self, error: Exception | None) -> None:
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
        self._transport.close()


async def _run(url: str, key: str, posts: Posts) -> None:
    loop, at = asyncio.get_running_loop(), urlsplit(url)
    media = SINGLE if posts.each == 1 else BATCH
    head = (
        b"POST /v1/events HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\ncontent-type: %b\r\n"
        b"content-length: " % (at.netloc.encode(), key.encode(), media)
    )
    bodies, waiting = posts.bodies(), []
    for _ in range(CONNECTIONS):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(
            lambda done=done: _Posting(head, bodies, done),  # type: ignore[misc]
            str(at.hostname),
            at.port or 0,
        )
    await asyncio.gather(*waiting)


def _run_process(url: str, key: str, posts: Posts) -> None:
    killed_with_parent()
    uvloop.run(_run(url, key, posts))


async def post(url: str, key: str, posts: Posts) -> None:
    """Posts all of them from a separate process; returns once each was answered with 202."""
    process = multiprocessing.Process(target=_run_process, args=(url, key, posts), daemon=True)
    process.start()
    while process.is_alive():
        await asyncio.sleep(0.002)
    process.join()
    if process.exitcode:
        raise RuntimeError("the events could not be posted")
