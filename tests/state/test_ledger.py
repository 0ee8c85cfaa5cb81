"""The ledger on a real Valkey: what it writes, refuses, takes and looks up."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from event_gateway.core.errors import ServerRefused
from event_gateway.core.webhook.delivery import Attempt, Delivery, Status
from event_gateway.state.connection import connect
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues
from event_gateway.state.script_arguments import LeaseRequest
from event_gateway.tasks import Supervisor
from support.patience import PATIENCE

REQUEST = LeaseRequest("w", 5, 10_000, 20_000)


@pytest.fixture
async def redis(servers: tuple[str, str]) -> AsyncIterator[Redis]:
    client = await connect(servers[1])
    yield client
    await client.aclose()


@pytest.fixture
async def ledger(redis: Redis) -> AsyncIterator[Ledger]:
    result = Ledger(redis, 60.0, Supervisor())
    await result.start()
    yield result
    await result.stop()


@pytest.fixture
def queues(redis: Redis, ledger: Ledger) -> Queues:
    return Queues(redis, ledger)


def delivery(ledger: Ledger, event_id: str = "e", seq: int = 1, source: str = "s") -> Delivery:
    return Delivery("w", event_id, source, "LOG", seq, ledger.token())


async def written(ledger: Ledger) -> None:
    async with asyncio.timeout(PATIENCE):
        while ledger.unconfirmed:
            await asyncio.sleep(0.001)


async def test_a_delivery_that_succeeds_at_once_is_one_write(ledger: Ledger, redis: Redis) -> None:
    first, called = delivery(ledger), []
    await redis.config_resetstat()
    ledger.submit(first, Status.IN_PROGRESS, wait=25, fresh=True, recorded=lambda: called.append(1))
    first.attempts = [Attempt(1, "2026-01-01T00:00:00Z", 5, 200)]
    ledger.submit(first, Status.SUCCEEDED, wait=None)
    assert not called
    await written(ledger)
    assert called == [1]
    scripts = await redis.info("commandstats")
    calls = [scripts.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval")]
    assert sum(calls) - scripts.get("cmdstat_script|load", {}).get("calls", 0) == 1
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert (record.status, record.seq, record.attempts) == (Status.SUCCEEDED, 1, first.attempts)
    assert await redis.zcard("queue:w") == await redis.zcard("due") == 0
    assert 0 < await redis.ttl("delivery:w:e") <= 7 * 86400
    assert ledger.high["LOG"] == int(await redis.hget("high", "LOG") or 0) == 1


async def test_a_delivery_that_is_not_final_is_queued_and_never_expires(
    ledger: Ledger, queues: Queues, redis: Redis
) -> None:
    ledger.submit(delivery(ledger), Status.RETRYING, wait=0.2, fresh=True)
    await written(ledger)
    assert await redis.zcard("queue:w") == 1
    assert await redis.ttl("delivery:w:e") == -1
    assert await queues.due(0, 10) == []
    due, after, seen = await queues.due_since(0, 10)
    assert due == []
    assert after is not None
    assert 0 < after <= 0.2
    assert await queues.take([REQUEST]) == []
    await asyncio.sleep(0.25)
    assert await queues.due(0, 10) == ["w"]
    due, after, seen = await queues.due_since(seen, 10)
    assert (due, after) == (["w"], None)
    due, after, later = await queues.due_since(seen + 1, 10)
    assert (due, after) == ([], None)
    assert later == pytest.approx(seen, abs=1000)
    (result,) = await queues.take([REQUEST])
    assert (result.event_id, result.seq, result.probe) == ("e", 1, False)
    # It is under a lease now: no other process gets it.
    assert await queues.take([REQUEST]) == []
    assert await queues.due(0, 10) == []


async def test_a_process_that_lost_its_lease_can_only_record_success(
    ledger: Ledger, queues: Queues
) -> None:
    old = delivery(ledger)
    ledger.submit(old, Status.IN_PROGRESS, wait=0.0, fresh=True)
    await written(ledger)
    await asyncio.sleep(0.005)
    (result,) = await queues.take([REQUEST])
    ledger.submit(old, Status.RETRYING, wait=60)
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert record.status is Status.IN_PROGRESS
    ledger.submit(old, Status.SUCCEEDED, wait=None)
    await written(ledger)
    ledger.submit(result, Status.RETRYING, wait=1)
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert record.status is Status.SUCCEEDED, "a final state was left"


async def test_the_same_id_of_two_sources_is_two_deliveries(
    ledger: Ledger, queues: Queues, redis: Redis
) -> None:
    ledger.submit(delivery(ledger, source="a"), Status.SUCCEEDED, wait=None, fresh=True)
    ledger.submit(delivery(ledger, seq=2, source="b"), Status.PENDING, wait=0, fresh=True)
    await written(ledger)
    first, other = await ledger.read("w", "e", "a"), await ledger.read("w", "e", "b")
    assert first is not None
    assert other is not None
    assert (first.status, other.status) == (Status.SUCCEEDED, Status.PENDING)
    assert await ledger.read("w", "e", "c") is None
    await asyncio.sleep(0.005)
    (result,) = await queues.take([REQUEST])
    assert (result.event_id, result.source) == ("e", "b")
    known = [("w", "e", "a", 1), ("w", "e", "b", 2), ("w", "e", "b", 3), ("w", "f", "a", 1)]
    assert await ledger.known(known) == [True, True, False, False]


async def test_cancelling_a_queue_in_chunks(ledger: Ledger, queues: Queues, redis: Redis) -> None:
    for number in range(7):
        ledger.submit(delivery(ledger, f"e{number}"), Status.RETRYING, wait=60, fresh=True)
    await written(ledger)
    assert await queues.depths(["w"]) == [7]
    assert [await queues.cancel("w", "gone", 3) for _ in range(3)] == [4, 1, 0]
    record = await ledger.read("w", "e3", None)
    assert record is not None
    assert (record.status, record.last_error) == (Status.CANCELLED, "gone")
    assert await redis.zcard("due") == 0


async def test_a_server_that_evicts_is_refused(redis: Redis, servers: tuple[str, str]) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ServerRefused, match="noeviction"):
        await connect(servers[1])


async def test_a_new_lease_is_not_overwritten_by_the_previous_process(
    ledger: Ledger, redis: Redis
) -> None:
    former, newer = delivery(ledger), delivery(ledger)  # the same event, a token each
    ledger.submit(newer, Status.IN_PROGRESS, wait=10.0, fresh=True)
    await written(ledger)
    heard = []
    ledger.submit(newer, Status.SUCCEEDED, wait=None, succeeded=True)
    ledger.submit(former, Status.PENDING, wait=0.0, recorded=lambda: heard.append(True))
    await written(ledger)
    record = await ledger.read("w", "e", None)
    assert record is not None
    assert (record.status, heard) == (Status.SUCCEEDED, [True])
