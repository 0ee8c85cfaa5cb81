"""Fills the log, the dead letters and the queues for bench/tracking.py."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec
import nats
import uvloop

from event_gateway.broker.dead_letters import DeadLetterBody
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.delivery import Attempt, Delivery, Status
from event_gateway.embedded.process import killed_with_parent
from event_gateway.state.connection import connect
from event_gateway.state.ledger import Ledger
from event_gateway.state.reported_lanes import LaneReports
from event_gateway.tasks import Supervisor

ENDED, RUNNING = 500, 10  # deliveries of each webhook that have ended, and that are in progress
SHALLOW = 100  # pending deliveries of the webhook `shallow`
UNCONFIRMED = 5000  # messages published before a confirmation
LEASE = 300.0  # seconds; the lease of deliveries in progress
MARGIN = 3600.0  # seconds until the first retry is due


def event(number: int) -> bytes:
    return (b'{"specversion":"1.0","id":"e-%d","source":"bench","type":"bench.made",'
            b'"time":"2026-01-01T00:00:00Z","data":{"n":%d}}' % (number, number))  # fmt: skip


def failed_attempts(attempts: int) -> list[Attempt]:
    now = rfc3339(time.time())
    return [
        Attempt(n, now, 12, 503, "ServerError", "the receiver answered 503 Service Unavailable",
                "<html>" + "x" * 300, {"content-type": "text/html", "retry-after": "120"}, now)
        for n in range(1, attempts + 1)
    ]  # fmt: skip


async def _publish(url: str, subjects: Iterator[tuple[str, bytes]], stream: str) -> None:
    bus = await nats.connect(url)
    js = bus.jetstream()
    while chunk := list(islice(subjects, UNCONFIRMED)):
        for subject, body in chunk[:-1]:
            await bus.publish(subject, body)
        await js.publish(*chunk[-1], timeout=60, stream=stream)  # confirms those before it, too
    await bus.close()


def _dead_letters(deep: int, shallow: int) -> Iterator[tuple[str, bytes]]:
    """Dead letters of both webhooks, those of `shallow` evenly distributed.

    A hundredth of those of `deep`, and a third of those of `shallow`, have a rare reason.
    """
    every, counts = max(1, deep // shallow), {"deep": 0, "shallow": 0}
    definition = {"id": "x", "url": "http://127.0.0.1:18009/x", "events": ["bench.>"],
                  "description": "y" * 600}  # fmt: skip
    attempts = failed_attempts(3)
    for number in range(deep):
        for webhook in ("deep", "shallow")[: 1 + (number % every == 0)]:
            counts[webhook] += 1
            rare = counts[webhook] % (100 if webhook == "deep" else 3) == 0
            body = DeadLetterBody(
                webhook_id=webhook, url="http://127.0.0.1:18009/x",
                reason="Expired" if rare else "ServerError", attempts=attempts, stream=EVENTS,
                seq=number + 1, run=1, time=rfc3339(time.time()),
                event=msgspec.Raw(event(number).replace(b'"e-', b'"d-')),
                webhook=msgspec.Raw(msgspec.json.encode(definition)),
            )  # fmt: skip
            yield f"eg.dead.{webhook}", msgspec.json.encode(body)


async def fill(url: str, webhook: str, pending: int, name: str = "e") -> None:
    """Writes deliveries with the gateway's own ledger: ended, in progress, pending, retrying."""
    client = await connect(url)
    ledger = Ledger(client, 7 * 86400.0, LaneReports(), Supervisor())
    await ledger.start()
    attempts, now = failed_attempts(2), time.time()
    retrying = ENDED + RUNNING + pending - pending // 10
    for number in range(ENDED + RUNNING + pending):
        delivery = Delivery(webhook, f"{name}-{number}", "bench", EVENTS, number + 1, "bench.1",
                            event_at=now - 60 + number / (pending + ENDED) * 60)  # fmt: skip
        if number < ENDED:
            delivery.attempts = [Attempt(1, rfc3339(now), 5, 204)]
            ledger.submit(delivery, Status.SUCCEEDED, wait=None, fresh=True, succeeded=True)
        elif number < ENDED + RUNNING:
            ledger.submit(delivery, Status.IN_PROGRESS, wait=LEASE, fresh=True)
        elif number < retrying:
            ledger.submit(delivery, Status.PENDING, wait=0.0, fresh=True)
        else:
            delivery.attempts = attempts
            ledger.submit(delivery, Status.RETRYING, wait=MARGIN + number / 1e4, fresh=True,
                          last_error=f"ServerError: {attempts[-1].error_message}")  # fmt: skip
        if number % 512 == 0:
            while ledger.unconfirmed > 2048:
                await asyncio.sleep(0.001)
    while ledger.unconfirmed:
        await asyncio.sleep(0.01)
    await ledger.stop()
    await client.aclose()


def parallel(work: Callable[..., Any], *args: Any) -> None:
    """Runs a coroutine function in a separate process, whose memory is freed at its end."""
    process = multiprocessing.Process(target=_run, args=(work, args))
    process.start()
    process.join()
    assert process.exitcode == 0


def _run(work: Callable[..., Any], args: Any) -> None:
    killed_with_parent()
    uvloop.run(work(*args))


async def fill_log(url: str, events: int) -> None:
    await _publish(url, (("bench.made", event(n)) for n in range(events)), EVENTS)


async def fill_dead_letters(url: str, deep: int, shallow: int) -> None:
    await _publish(url, _dead_letters(deep, shallow), DEAD_LETTERS)
