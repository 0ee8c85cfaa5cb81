"""The lists of deliveries of many webhooks, merged: against the plain answer, on a real Valkey."""

import random
import time
from typing import Any, cast

import pytest
from redis.asyncio import Redis

from event_gateway.broker.log_reader import LogReader
from event_gateway.core.webhook.delivery import Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.lookup import deliveries, merged_deliveries
from event_gateway.lookup.deliveries import WAITING, DeliveryList, DeliveryQuery
from event_gateway.state.records import FORMAT
from event_gateway.state.tracking import Tracking

pytestmark = pytest.mark.shared

NAMES = ("a", "B", "b", "c-1", "c_1", "long", "none")
LEASED = 160_000  # ms: the end of a lease is in the future
FEW = 40  # different times, so that many deliveries have the same one


class _Written:
    """Random deliveries in Redis, and what lists of them are by the rules."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.start = int(time.time() * 1000) - 60_000
        self.webhooks = {
            name: Webhook(name, "http://x", ("a",), ordered=name == "long") for name in NAMES
        }
        # By webhook and member: status, time, score in recent, score in the queue.
        self.records: dict[tuple[str, str], tuple[Status, int, int | None, int | None]] = {}

    async def write(self, redis: Redis, most: int) -> None:
        pipeline = redis.pipeline(transaction=False)
        for name, webhook in self.webhooks.items():
            for n in range(0 if name == "none" else self.random.randrange(1, most)):
                member = self.random.choice(("x", "X", "é", "y~")) + str(n)
                status = self.random.choice(list(Status))
                at = self.start + self.random.randrange(FEW)
                waits = status in WAITING and not webhook.ordered
                attempted = status is not Status.PENDING or self.random.random() < 0.5
                queued = self.start + self.random.randrange(FEW) if waits else None
                recent = at if attempted or webhook.ordered else None
                self.records[name, member] = status, at, recent, queued
                pipeline.hset(f"delivery:{name}:{member}", mapping=_record(status, at))
                if recent is not None:
                    pipeline.zadd(f"recent:{name}", {member: recent})
                if queued is not None:
                    ahead = LEASED if status is Status.IN_PROGRESS else 0
                    pipeline.zadd(f"queue:{name}", {member: queued + ahead})
        await pipeline.execute()

    def listed(self, names: list[str], wanted: DeliveryQuery) -> list[tuple[str, str]]:
        """The plain answer: webhook and member of each delivery."""
        changed, waiting = [], []
        for (name, member), (status, at, recent, queued) in self.records.items():
            if name not in names or wanted.status not in (None, status):
                continue
            if wanted.since is not None and at < wanted.since * 1000:
                continue
            if wanted.until is not None and at >= wanted.until * 1000:
                continue
            by_time = wanted.status not in WAITING or self.webhooks[name].ordered
            if recent is not None and by_time:
                changed.append((-recent, name, [-byte for byte in member.encode() + b"\0"], member))
            elif queued is not None and (wanted.status is None or wanted.status in WAITING):
                ahead = LEASED if status is Status.IN_PROGRESS else 0
                waiting.append((queued + ahead, name, member.encode(), member))
        return [(each[1], each[3]) for group in (changed, waiting) for each in sorted(group)]


def _record(status: Status, at: int) -> Any:
    return {
        "v": FORMAT, "source": "s", "status": status.value, "timestamp": at, "attempts": 0,
        "last_error": "", "next_attempt_at": "", "stream": "LOG", "seq": 1, "run": 1,
    }  # fmt: skip


async def _walked(
    listing: DeliveryList, webhooks: dict[str, Webhook], wanted: DeliveryQuery, limit: int
) -> list[tuple[str, str]]:
    found, after = [], None
    while True:
        page = await listing.page(webhooks, wanted, limit, after)
        assert len(page.deliveries) <= limit
        found += [(each.webhook_id, each.member) for each in page.deliveries]
        if page.next is None:
            return found
        assert page.next != after, "each page goes on"
        after = page.next


@pytest.mark.parametrize("seed", range(4))
async def test_all_pages_have_what_the_plain_answer_has(
    redis: Redis, seed: int, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    monkeypatch.setattr(merged_deliveries, "AT_A_TIME", 7)
    monkeypatch.setattr(merged_deliveries, "WEBHOOKS_PER_CALL", 3)
    monkeypatch.setattr(merged_deliveries, "FEWEST", 2)
    written = _Written(seed)
    await written.write(redis, most=60)
    listing = DeliveryList(Tracking(redis), cast(LogReader, None))
    of_time = DeliveryQuery(since=(written.start + 10) / 1000, until=(written.start + 30) / 1000)
    for wanted in (DeliveryQuery(), of_time, *(DeliveryQuery(status) for status in Status)):
        for names in (list(NAMES), ["b"], ["long"]):
            webhooks = {name: written.webhooks[name] for name in names}
            with subtests.test(status=wanted.status, since=wanted.since, names=names):
                expected = written.listed(names, wanted)
                for limit in (1, 9, 1000):
                    assert await _walked(listing, webhooks, wanted, limit) == expected
                with monkeypatch.context() as patched:
                    patched.setattr(deliveries, "MAX_READ", 5)
                    assert await _walked(listing, webhooks, wanted, 50) == expected


async def test_more_deliveries_at_one_time_than_are_read_in_a_call(redis: Redis) -> None:
    count = 2500
    written = _Written(1)
    pipeline = redis.pipeline(transaction=False)
    for n in range(count):
        for name in ("a", "b"):
            pipeline.hset(f"delivery:{name}:m{n}", mapping=_record(Status.PENDING, written.start))
            pipeline.zadd(f"queue:{name}", {f"m{n}": written.start})
            written.records[name, f"m{n}"] = Status.PENDING, written.start, None, written.start
    await pipeline.execute()
    listing = DeliveryList(Tracking(redis), cast(LogReader, None))
    for names in (["a"], ["a", "b"]):
        webhooks = {name: written.webhooks[name] for name in names}
        for status in (None, Status.PENDING):
            expected = written.listed(names, DeliveryQuery(status))
            assert await _walked(listing, webhooks, DeliveryQuery(status), 1000) == expected


async def test_a_total_counts_what_pages_have(redis: Redis) -> None:
    written = _Written(5)
    await written.write(redis, most=80)
    listing = DeliveryList(Tracking(redis), cast(LogReader, None))
    for name, webhook in written.webhooks.items():
        for wanted in (
            DeliveryQuery(),
            DeliveryQuery(until=(written.start + 9) / 1000),
            *map(DeliveryQuery, Status),
        ):
            total = await listing.total(webhook, wanted)
            assert total == (len(written.listed([name], wanted)), False), (name, wanted)


async def test_expired_records_leave_the_list(redis: Redis) -> None:
    written = _Written(0)
    await redis.zadd("recent:a", {"gone": written.start, "there": written.start + 1})
    await redis.hset("delivery:a:there", mapping=_record(Status.SUCCEEDED, written.start + 1))
    listing = DeliveryList(Tracking(redis), cast(LogReader, None))
    webhooks = {"a": written.webhooks["a"]}
    assert await _walked(listing, webhooks, DeliveryQuery(), 10) == [("a", "there")]
    assert await redis.zrange("recent:a", 0, -1) == [b"there"]
