"""stock: what a Python team might write instead, with well-known libraries and without retries.

    python -m bench.stock CONFIG READY

A loop over batches: nats-py fetches, json parses, standardwebhooks signs, aiohttp posts all at
once, redis-py records them in one pipeline, then the batch is acknowledged. CONFIG is a gateway's
configuration in JSON; READY is created once the program is ready.
"""

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import nats
import uvloop
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from standardwebhooks import Webhook as Signer

from bench.programs import SECRET, STREAM

BATCH = 100
CONNECTIONS = 64  # at once, to all receivers together
UNACKED = 1000
TIMEOUT = aiohttp.ClientTimeout(total=15)
KEEP = 7 * 86400  # seconds for which a delivery is on record


@dataclass(frozen=True)
class Webhook:
    """An endpoint for events whose type matches one of the patterns."""

    id: str
    url: str
    patterns: tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class Delivery:
    """The result of an attempt. ``took`` in seconds; status 0: no response."""

    webhook: str
    event_id: str
    status: int
    took: float


class Poster:
    """Signed POSTs over one session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._signer = Signer(SECRET)

    async def post(self, webhook_id: str, url: str, event_id: str, body: str) -> Delivery:
        """Makes one attempt and returns its result, also if it fails."""
        message_id, now = f"msg_{webhook_id}_{event_id}", datetime.now(UTC)
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message_id, now, body),
        }
        began, status = time.monotonic(), 0
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.post(url, data=body.encode(), headers=headers) as answer:
                await answer.read()
                status = answer.status
        return Delivery(webhook_id, event_id, status, time.monotonic() - began)


def session() -> aiohttp.ClientSession:
    """One session for all receivers."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    return aiohttp.ClientSession(connector=connector, timeout=TIMEOUT)


def webhooks(config: dict[str, Any]) -> list[Webhook]:
    """The webhooks of a gateway's configuration."""
    return [
        Webhook(webhook_id, webhook["url"], tuple(_pattern(text) for text in webhook["events"]))
        for webhook_id, webhook in config["webhooks"].items()
    ]


def matching(known: Iterable[Webhook], event_type: str) -> list[Webhook]:
    """The webhooks that match an event of this type."""
    return [
        webhook
        for webhook in known
        if any(pattern.fullmatch(event_type) for pattern in webhook.patterns)
    ]


def _pattern(text: str) -> re.Pattern[str]:
    wildcards = {"*": r"[^.]+", ">": r".+"}
    tokens = [wildcards.get(token) or re.escape(token) for token in text.split(".")]
    return re.compile(r"\.".join(tokens))


def record(pipeline: "Pipeline", delivery: Delivery) -> None:
    """Adds the record of a delivery to a pipeline."""
    key = f"delivery:{delivery.webhook}:{delivery.event_id}"
    pipeline.hset(
        key,
        mapping={
            "status": "succeeded" if 200 <= delivery.status < 300 else "failed",
            "attempts": 1, "last_status": delivery.status, "took": f"{delivery.took:.6f}",
            "at": datetime.now(UTC).isoformat(),
        },
    )  # fmt: skip
    pipeline.expire(key, KEEP)


async def consumer(
    js: JetStreamContext, unacked: int = UNACKED
) -> JetStreamContext.PullSubscription:
    """Creates the log's stream if it is missing, and its durable consumer."""
    await js.add_stream(name=STREAM, subjects=["bench.>"])
    return await js.pull_subscribe(
        "bench.>", durable="router", stream=STREAM, config=ConsumerConfig(max_ack_pending=unacked)
    )


async def run(config: dict[str, Any], ready: Path) -> None:
    """Delivers events until it is cancelled."""
    known = webhooks(config)
    bus = await nats.connect(config["nats"]["url"])
    redis = Redis.from_url(config["redis"]["url"])
    events = await consumer(bus.jetstream())
    async with session() as http:
        poster = Poster(http)
        ready.touch()
        while True:
            try:
                messages = await events.fetch(BATCH, timeout=1)
            except TimeoutError:
                continue
            posts = []
            for message in messages:
                body = message.data.decode()
                event = json.loads(body)
                posts += [
                    poster.post(webhook.id, webhook.url, event["id"], body)
                    for webhook in matching(known, event["type"])
                ]
            deliveries = await asyncio.gather(*posts)
            pipeline = redis.pipeline(transaction=False)
            for delivery in deliveries:
                record(pipeline, delivery)
            await pipeline.execute()
            for message in messages:
                await message.ack()


if __name__ == "__main__":
    # SIGTERM ends it, as every program: NATS redelivers what is not acknowledged.
    uvloop.run(run(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
