"""The floor: the cost of a signed POST without anything else.

Frozen. A loop of signed requests (Standard Webhooks v1) over kept connections: asyncio.Protocol,
httptools, uvloop. Every other figure of the bench is a multiple of what this costs in the same run.

    python -m bench.floor PORT POSTS

prints {"cpu_us": …, "rate": …}: CPU microseconds of this process per POST, and POSTs per second.
"""

import asyncio
import base64
import hmac
import json
import sys
import time

import httptools
import uvloop

CONNECTIONS = 64
KEY = b"bench-bench-bench-bench-"
BODY = json.dumps({
    "specversion": "1.0", "id": "00000000-0000-4000-8000-000000000000", "source": "/bench",
    "type": "bench.made", "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
    "data": {"n": 0, "text": "x" * 820},
}).encode()  # fmt: skip


class Posting(asyncio.Protocol):
    """Sends signed requests one after another on one connection, until none is left."""

    def __init__(self, left: list[int], done: "asyncio.Future[None]") -> None:
        self._left, self._done = left, done
        self._mac = hmac.new(KEY, digestmod="sha256")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name] = value

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._parser.get_status_code() == 204
        self._send()

    def _send(self) -> None:
        if not self._left[0]:
            self._transport.close()
            return
        self._left[0] -= 1
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body = b""
        number = b"msg_%032d" % self._left[0]
        now = b"%d" % time.time()
        mac = self._mac.copy()
        mac.update(b"%b.%b.%b" % (number, now, BODY))
        self._transport.write(  # type: ignore[attr-defined]
            b"POST /floor HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: floor\r\n"
            b"content-type: application/cloudevents+json\r\ncontent-length: %d\r\n"
            b"webhook-id: %b\r\nwebhook-timestamp: %b\r\nwebhook-signature: v1,%b\r\n\r\n%b"
            % (len(BODY), number, now, base64.b64encode(mac.digest()), BODY)
        )

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)


async def run(port: int, posts: int) -> dict[str, float]:
    """Sends ``posts`` requests and returns the cost of each."""
    loop = asyncio.get_running_loop()
    left = [posts]
    began, cpu = time.perf_counter(), time.process_time()
    waiting = []
    for _ in range(CONNECTIONS):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(lambda done=done: Posting(left, done), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*waiting)
    return {
        "cpu_us": (time.process_time() - cpu) / posts * 1e6,
        "rate": posts / (time.perf_counter() - began),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(int(sys.argv[1]), int(sys.argv[2])))))
