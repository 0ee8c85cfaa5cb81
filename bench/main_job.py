"""Events in and deliveries out per second, and CPU per delivery, beside a bare POST loop.

    python bench/main_job.py [--events 5000] [--webhooks 3]

The floor is the same receiver and the same body, sent by this process with httptools over kept
connections and nothing else. Compare the ratio, which a noisy machine leaves alone, not seconds.
The receiver and the servers are processes of their own; CPU is that of the gateway alone.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import httptools
import nats
import uvloop

from event_gateway.cli.serve import running
from event_gateway.config.load import load
from event_gateway.delivery.egress import url_rule
from event_gateway.delivery.transformations import TRANSFORMATIONS

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
CONCURRENCY = 64


class _Receiving(asyncio.Protocol):
    """Answers 204 to each request; counts in memory shared with the bench."""

    def __init__(self, count: Any) -> None:
        self._count = count
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._count.value += 1
        self._transport.write(ANSWER)  # type: ignore[attr-defined]


def _receiver(port: Any, count: Any) -> None:
    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Receiving(count), "127.0.0.1", 0
        )
        port.value = server.sockets[0].getsockname()[1]
        await server.serve_forever()

    uvloop.run(serve())


def _publisher(url: str, events: int, took: Any) -> None:
    async def publish() -> None:
        bus = await nats.connect(url)
        js = bus.jetstream()
        began = time.perf_counter()
        for start in range(0, events, 256):
            numbers = range(start, min(start + 256, events))
            await asyncio.gather(
                *(js.publish("bench.made", json.dumps(_event(n)).encode()) for n in numbers)
            )
        took.value = time.perf_counter() - began
        await bus.close()

    uvloop.run(publish())


class _Posting(asyncio.Protocol):
    """The floor: one request after another on one connection."""

    def __init__(self, request: bytes, times: int, done: "asyncio.Future[None]") -> None:
        self._request, self._left, self._done = request, times, done
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._left -= 1
        if self._left:
            self._transport.write(self._request)  # type: ignore[attr-defined]
        else:
            self._transport.close()
            self._done.set_result(None)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _floor(port: int, posts: int) -> tuple[float, float]:
    body = json.dumps(_event(0)).encode()
    request = (
        b"POST /floor HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n"
        b"content-type: application/cloudevents+json\r\n\r\n%b"
    ) % (len(body), body)
    loop = asyncio.get_running_loop()
    began, cpu = time.perf_counter(), _cpu()
    waiting = []
    for _ in range(CONCURRENCY):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(
            lambda done=done: _Posting(request, posts // CONCURRENCY, done), "127.0.0.1", port
        )
    await asyncio.gather(*waiting)
    sent = posts // CONCURRENCY * CONCURRENCY
    return sent / (time.perf_counter() - began), (_cpu() - cpu) / sent * 1e6


def _event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": f"bench-{number}", "source": "bench", "type": "bench.made",
        "time": "2026-01-01T00:00:00Z", "datacontenttype": "application/json",
        "data": {"n": number, "text": "x" * 600},
    }  # fmt: skip


async def _bench(port: int, count: Any, events: int, webhooks: int) -> None:
    rate, floor = await _floor(port, events * webhooks)
    print(f"floor     {rate:8.0f} POST/s       {floor:6.1f} us CPU each")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gateway.yaml"
        path.write_text(json.dumps({
            "delivery": {"allow_networks": ["127.0.0.0/8"]},
            "webhooks": {
                f"w{number}": {"url": f"http://127.0.0.1:{port}/{number}", "events": ["bench.*"],
                               "security": {"auth_type": "hmac_signature", "secret_name": "key"}}
                for number in range(webhooks)
            },
        }))  # fmt: skip
        config = load(path, {}, transformations=frozenset(TRANSFORMATIONS), url_rule=url_rule)
        secret = {"EVENT_GATEWAY_SECRET_KEY": "d2hzZWNfYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2g="}
        environ = os.environ | secret
        async with running(config, Path(directory) / "data", port=0, environ=environ) as gateway:
            published = multiprocessing.Value("d", 0.0)
            publisher = multiprocessing.Process(
                target=_publisher, args=(gateway.nats_url, events, published), daemon=True
            )
            before, cpu, began = count.value, _cpu(), time.perf_counter()
            publisher.start()
            while count.value - before < events * webhooks:
                await asyncio.sleep(0.01)
            took, cpu = time.perf_counter() - began, _cpu() - cpu
            each = cpu / (events * webhooks) * 1e6
            print(f"in        {events / published.value:8.0f} events/s, acknowledged")
            print(f"out       {events * webhooks / took:8.0f} deliveries/s {each:6.1f} us CPU each,"
                  f" {each / floor:.1f} times the floor")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--webhooks", type=int, default=3)
    options = parser.parse_args()
    port, count = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0)
    receiver = multiprocessing.Process(target=_receiver, args=(port, count), daemon=True)
    receiver.start()
    while not port.value:
        time.sleep(0.01)
    uvloop.run(_bench(port.value, count, options.events, options.webhooks))


if __name__ == "__main__":
    main()
