"""Collects everything that a gateway returns or stores, as pairs of place and bytes."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from nats.js.errors import NotFoundError
from redis.asyncio import Redis

from support.client import Client
from support.http_transport import PlainTransport

# Files that contain a key on purpose, readable only by their owner.
PRIVATE = ("admin.key", "sealing.key", "endpoints.json", "servers.json", "nats.conf", "valkey.conf")
PAGES = (
    "/v1/webhooks", "/v1/streams", "/v1/rejected", "/v1/secrets", "/v1/audit-log",
    "/v1/audit-log/export", "/metrics", "/readyz", "/healthz", "/v1/health",
    "/openapi.json", "/.well-known/webhook-keys.json", "/docs", "/v1/none",
)  # fmt: skip

Places = list[tuple[str, bytes]]


class Recorded(PlainTransport):
    """Stores each response of the API, headers included."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Places = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        place = f"answer to {request.method} {request.url.path} ({response.status_code})"
        self.answers.append((place, repr(response.headers.raw).encode() + body))
        return response


async def from_api(client: Client, webhooks: list[str], events: list[str]) -> None:
    """Requests every resource; the transport stores the responses."""
    for page in PAGES:
        await client.http.get(page)
    for webhook in webhooks:
        await client.http.get(f"/v1/webhooks/{webhook}")
        await client.http.get(f"/v1/webhooks/{webhook}/stats")
        for event_id in events:
            await client.http.get(f"/v1/deliveries/{webhook}/{event_id}")
    await client.http.get("/v1/webhooks", headers={"Authorization": "Bearer wrong"})


async def from_nats(client: Client) -> Places:
    """All messages of all streams, those of key-value buckets included."""
    out: Places = []
    for info in await client.nats.jetstream().streams_info():
        name = info.config.name or ""
        out.append((f"stream {name}", repr(info.config).encode()))
        state = info.state
        for seq in range(max(1, state.first_seq), state.last_seq + 1 if state.messages else 0):
            try:
                message = await client.nats.jetstream().get_msg(name, seq)
            except NotFoundError:  # a bucket stores only the last message of each key
                continue
            whole = f"{message.subject} {message.headers}".encode() + (message.data or b"")
            out.append((f"stream {name}: {message.subject}", whole))
    out += [
        (f"lifecycle: {event['type']}", json.dumps(event).encode()) for event in client.lifecycle
    ]
    return out


async def from_redis(url: str) -> Places:
    """All keys with their values."""
    out: Places = []
    async with Redis.from_url(url) as redis:
        async for key in redis.scan_iter(count=1000):
            value = await _value(redis, key)  # empty if the key was deleted since
            out.append((f"redis {key.decode(errors='replace')}", key + b" " + value))
    return out


async def _value(redis: Any, key: bytes) -> bytes:
    kind = (await redis.type(key)).decode()
    match kind:
        case "none":
            parts = []
        case "string":
            parts = [await redis.get(key) or b""]
        case "hash":
            parts = [part for pair in (await redis.hgetall(key)).items() for part in pair]
        case "zset":
            parts = await redis.zrange(key, 0, -1)
        case "set":
            parts = list(await redis.smembers(key))
        case "list":
            parts = await redis.lrange(key, 0, -1)
        case _:
            raise AssertionError(f"{key!r} is a {kind}")
    return b"\n".join(parts)


def from_files(data: Path) -> Iterator[tuple[str, bytes]]:
    """All files but the private ones; the data and logs of the embedded servers included."""
    for path in sorted(data.rglob("*")):
        if not path.is_file():
            continue
        if path.parent == data and path.name in PRIVATE:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        else:
            yield f"file {path.relative_to(data)}", path.read_bytes()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
