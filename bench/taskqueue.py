"""taskqueue: as bench/stock.py, but with a task queue on Redis: taskiq with its stream broker.

    python -m bench.taskqueue CONFIG READY

A loop adds a task to the queue for each event and webhook, and acknowledges the event; the queue's
own receiver runs the tasks. Both are in one process, so that its CPU time is the total.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import nats
import uvloop
from nats.js import JetStreamContext
from redis.asyncio import Redis
from taskiq import AsyncTaskiqDecoratedTask
from taskiq.api import run_receiver_task
from taskiq_redis import RedisStreamBroker

from bench.stock import (
    BATCH,
    CONNECTIONS,
    Poster,
    Webhook,
    consumer,
    matching,
    record,
    session,
    webhooks,
)

MAX_TASKS = 1_000_000  # tasks in the stream, which also keeps completed tasks
READ = 100  # tasks in one read from Redis


async def hand_over(
    events: JetStreamContext.PullSubscription,
    known: list[Webhook],
    task: AsyncTaskiqDecoratedTask[..., Any],
) -> None:
    """Adds tasks for events, and acknowledges an event once Redis has all its tasks.

    Never returns.
    """
    while True:
        try:
            messages = await events.fetch(BATCH, timeout=1)
        except TimeoutError:
            continue
        kicks = []
        for message in messages:
            body = message.data.decode()
            event = json.loads(body)
            kicks += [
                task.kiq(webhook.id, webhook.url, event["id"], body)
                for webhook in matching(known, event["type"])
            ]
        await asyncio.gather(*kicks)
        for message in messages:
            await message.ack()


async def run(config: dict[str, Any], ready: Path) -> None:
    """Adds and runs tasks until it is cancelled."""
    bus = await nats.connect(config["nats"]["url"])
    redis = Redis.from_url(config["redis"]["url"])
    # The stream broker acknowledges tasks; with the list broker a crash loses the running tasks.
    broker = RedisStreamBroker(
        config["redis"]["url"],
        maxlen=MAX_TASKS,
        xread_count=READ,
        max_connection_pool_size=CONNECTIONS,
    )
    events = await consumer(bus.jetstream())
    async with session() as http:
        poster = Poster(http)

        @broker.task(task_name="deliver")
        async def deliver(webhook_id: str, url: str, event_id: str, body: str) -> None:
            delivery = await poster.post(webhook_id, url, event_id, body)
            pipeline = redis.pipeline(transaction=False)
            record(pipeline, delivery)
            await pipeline.execute()

        broker.is_worker_process = True
        await broker.startup()
        ready.touch()
        await asyncio.gather(
            hand_over(events, webhooks(config), deliver),
            run_receiver_task(broker, max_async_tasks=CONNECTIONS, max_prefetch=CONNECTIONS),
        )


if __name__ == "__main__":
    uvloop.run(run(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])))
