"""What a process holds of large events is bounded by their bytes, and not only by their number."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio

from event_gateway.cli.process.serve import Running
from event_gateway.delivery import attempts, backlog, ordered_line
from event_gateway.routing import router, unsettled
from event_gateway.routing.log_consumer import LogConsumers
from support.client import STRUCTURED, Client, event
from support.patience import PATIENCE
from support.receiver import Receiver

LARGE = "x" * 60_000
COUNT = 1200


async def _publish(client: Client, count: int) -> None:
    for _ in range(count):
        body = json.dumps(event("user.a", {"text": LARGE})).encode()
        await client.nats.publish("user.a", body, headers=STRUCTURED)
    await client.nats.flush()


@contextlib.asynccontextmanager
async def _router(
    gateway: Running, dispatched: list[Callable[[], None]]
) -> AsyncIterator[router.Router]:
    """A router in place of the gateway's, whose deliveries are recorded when the test says so."""
    stages = gateway.gateway.stages
    await stages.routing.stop_taking()
    adapters = stages.adapters
    bounded = router.Router(
        adapters.broker, consumers=LogConsumers(
            adapters.broker, adapters.registry.logs, stages.routing.checkpoints, {}
        ), decoder=stages.ingest.capture, rejected=adapters.rejected,
        ledger=adapters.ledger, index=stages.routing.index,
        dispatch=lambda _received, _webhook, recorded: dispatched.append(recorded),
        metrics=adapters.metrics, on_error=stages.ingest.note_expression_error,
        tracing=stages.telemetry.tracing, supervisor=stages.supervisor,
    )  # fmt: skip
    bounded.start()
    try:
        yield bounded
    finally:
        await bounded.stop()
        await bounded.close()


async def test_the_router_requests_no_more_than_it_may_hold(
    client: Client, gateway: Running, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three requests may be under way, of 16 MiB each; no other follows until deliveries are
    recorded."""
    monkeypatch.setattr(unsettled, "MAX_UNSETTLED_BYTES", 1 << 20)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    dispatched: list[Callable[[], None]] = []
    async with _router(gateway, dispatched) as bounded, asyncio.timeout(2 * PATIENCE):
        await _publish(client, COUNT)
        while bounded.unsettled * len(LARGE) < 1 << 20:
            await asyncio.sleep(0.01)
        last = 0
        while last != bounded.unsettled:  # until what was requested has come
            last = bounded.unsettled
            await asyncio.sleep(1.0)
        assert bounded.unsettled * len(LARGE) <= (48 << 20) + (1 << 20)
        done = 0
        while done < COUNT:
            for recorded in dispatched[done:]:
                recorded()
                done += 1
            await asyncio.sleep(0.01)
        assert bounded.unsettled == 0


async def test_the_router_goes_on_as_soon_as_it_has_room(
    client: Client, gateway: Running, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unsettled, "MAX_UNSETTLED", 8)
    monkeypatch.setattr(router, "LOOK", 3600.0)  # it does not only find out when it looks
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    dispatched: list[Callable[[], None]] = []
    async with _router(gateway, dispatched) as bounded, asyncio.timeout(PATIENCE):
        await _publish(client, 40)
        for done in range(0, 40, 8):
            while not (len(dispatched) == done + 8 and bounded._unsettled.waits_for_room):
                await asyncio.sleep(0.01)
            for recorded in dispatched[done:]:
                recorded()


async def test_attempts_in_flight(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "MAX_BYTES", 100_000)
    receiver.delays["/w"] = [0.2]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"])
    await _publish(client, 12)
    await receiver.until(12, "/w")
    assert receiver.max_concurrent == 2


async def test_deliveries_that_wait_in_memory(
    client: Client, gateway: Running, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is beyond the bound waits in the queue, where every process can take it."""
    monkeypatch.setattr(backlog, "MAX_WAITING_BYTES", 100_000)
    receiver.delays["/w"] = [3600.0]
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], concurrency=1)
    await _publish(client, 20)
    async with redis.asyncio.from_url(gateway.redis_url) as store:
        async with asyncio.timeout(PATIENCE):
            while await store.zcard("queue:w") < 20:
                await asyncio.sleep(0.05)
        seconds, micros = await store.time()
        leased = await store.zcount("queue:w", seconds * 1000 + micros // 1000 + 1, "+inf")
    assert 2 <= leased <= 4  # the attempt, and what is held


async def test_an_ordered_webhook_reads_ahead(
    client: Client, gateway: Running, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordered_line, "WINDOW_BYTES", 100_000)
    read: list[Any] = []
    receiver.delays["/w"] = [0.05]
    accept = ordered_line.OrderedLine._accept

    async def counting(line: ordered_line.OrderedLine, received: Any) -> None:
        await accept(line, received)
        read.append(len(line._unfinished))

    monkeypatch.setattr(ordered_line.OrderedLine, "_accept", counting)
    await client.webhook(id="w", url=f"{receiver.url}/w", events=["user.*"], ordered=True)
    await _publish(client, 10)
    await receiver.until(10, "/w")
    assert max(read) == 2
