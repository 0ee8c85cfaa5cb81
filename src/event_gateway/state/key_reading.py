"""Reads the gateway's keys out of Redis for a copy (:mod:`.key_copies`), some MiB at a time.

How many keys or fields one call reads follows from how large the last ones were.
"""

import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis

from event_gateway.state.key_copies import RECORD, KeyCopy, family_of_key, scan
from event_gateway.state.key_family import PREFIX, KeyFamily
from event_gateway.state.keys import (
    CHECKPOINT,
    DELIVERY,
    DUE,
    FAILING,
    GATES,
    HISTORY,
    HISTORY_WRITTEN,
    KEYS_USED,
    LAST_WRITE,
    ORDERED,
    QUEUE,
    RATE,
    REPLAY,
    REPLAY_LEASE,
    REREADING,
    RESPONSES,
    SUBSCRIPTION,
    THROTTLED,
)

AT_ONCE = 128  # keys that are read in one call, at most
PIECE = 4 * 1024 * 1024  # bytes that are read in one call, about
PAGE = 10_000  # members of a sorted set that are read in one call
FIELDS = 1000  # fields of hashes that are read in one call, at most
FIRST_PAGE = 100  # members of a sorted set that are read together with those of others

# Leases, live subscriptions, the latest writes of processes that have ended, the latest starts of
# attempts; and what is made again from the records and their places.
LEFT_OUT = frozenset({
    LAST_WRITE.name, ORDERED.name, REPLAY_LEASE.name, REREADING.name,
    RATE.name, SUBSCRIPTION.name, HISTORY_WRITTEN.name, QUEUE.name, DUE.name,
})  # fmt: skip
# Hashes whose fields have nothing to do with each other: there may be many, or large ones.
BY_FIELDS = frozenset({
    RESPONSES.name, GATES.name, THROTTLED.name, FAILING.name, KEYS_USED.name, HISTORY.name,
})  # fmt: skip
# Before the records: what they say is done must have its records.
FIRST = (CHECKPOINT, REPLAY)


async def count(client: Redis) -> int:
    """About how many keys there are to copy. Raises the exceptions in StateError."""
    return int((await client.info("keyspace")).get(_database(client), {}).get("keys", 0))


def _database(client: Redis) -> str:
    return f"db{client.connection_pool.connection_kwargs.get('db') or 0}"


async def copy_out(client: Redis) -> AsyncIterator[list[KeyCopy]]:
    """All keys that belong into a copy. A key may come twice: then the later one counts.

    Raises the exceptions in StateError.
    """
    first: set[bytes] = set()
    sizes = _Sizes()
    for family in FIRST:
        async for found in scan(client, family):
            first.update(found)
            async for copies in _read(client, found, sizes):
                yield copies
    async for scanned in scan(client, None):
        found = [key for key in scanned if key not in first]  # what they say now came too late
        async for copies in _read(client, found, sizes):
            yield copies
    # Deliveries that wait, once more: a renaming of their webhook may have moved them from keys
    # that were not read yet to names that were behind already.
    async for found in scan(client, QUEUE):
        for queue in found:
            async for waiting in _queued(client, queue):
                async for copies in _read(client, waiting, sizes):
                    yield copies


async def _queued(client: Redis, queue: bytes) -> AsyncIterator[list[bytes]]:
    """The keys of the records in a queue."""
    webhook = queue.removeprefix(f"{PREFIX}{QUEUE.literals[0]}".encode())
    async for page in _from(client, queue, -math.inf):
        members = [member for member, _ in page]
        for start in range(0, len(members), AT_ONCE):
            yield [RECORD + webhook + b":" + member for member in members[start : start + AT_ONCE]]


class _Size:
    """The mean size of keys or fields, by those that were read last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._mean = PIECE / 8  # bytes

    @property
    def count(self) -> int:
        """How many of them have PIECE bytes together, within the most that one call reads."""
        return max(1, min(self._most, int(PIECE / self._mean)))

    def seen(self, count: int, size: int) -> None:
        """``count`` of them were read, which had ``size`` bytes."""
        if count:
            self._mean = max(size / count, 1.0)


class _Sizes:
    def __init__(self) -> None:
        self.keys = _Size(AT_ONCE)
        self.fields = {name: _Size(FIELDS) for name in BY_FIELDS}


async def _read(
    client: Redis, found: Sequence[bytes], sizes: _Sizes
) -> AsyncIterator[list[KeyCopy]]:
    """The values of these keys; what is large comes in further lists of its own."""
    named = [
        (key, family) for key in found
        if (family := family_of_key(key)) is not None and family.name not in LEFT_OUT
    ]  # fmt: skip
    records = [key for key, family in named if family is DELIVERY]
    split = {
        family: [key for key, of in named if of is family]
        for _, family in named if family.name in BY_FIELDS
    }  # fmt: skip
    others = [
        (key, family) for key, family in named
        if family is not DELIVERY and family.name not in BY_FIELDS
    ]  # fmt: skip
    while records or others:
        count = sizes.keys.count
        part, records = records[:count], records[count:]
        rest, others = others[: count - len(part)], others[count - len(part) :]
        copies, large = await _others(client, rest)
        copies += await _records(client, part)
        sizes.keys.seen(len(copies), sum(map(_bytes, copies)))
        yield copies
        for key, family, ttl, highest in large:
            async for members in _from(client, key, highest):
                yield [KeyCopy(key, family.name, _items(family, members), _expiry(ttl))]
    for family, hashes in split.items():
        async for copies in _by_fields(client, family, hashes, sizes.fields[family.name]):
            yield copies


async def _records(client: Redis, found: Sequence[bytes]) -> list[KeyCopy]:
    """Records of deliveries with their places in the queue."""
    if not found:
        return []
    async with client.pipeline(transaction=True) as pipe:
        for key in found:
            webhook, member = key[len(RECORD) :].split(b":", 1)
            pipe.hgetall(key)
            pipe.pttl(key)
            pipe.zscore(QUEUE.key(webhook.decode()), member)
        answers = await pipe.execute()
    copies = []
    for number, key in enumerate(found):
        fields, ttl, due = answers[number * 3 : number * 3 + 3]
        if fields:
            copies.append(KeyCopy(key, DELIVERY.name, _flat(fields), _expiry(ttl), due))
    return copies


async def _others(
    client: Redis, found: Sequence[tuple[bytes, KeyFamily]]
) -> tuple[list[KeyCopy], list[tuple[bytes, KeyFamily, int, float]]]:
    """Other keys with their values. And the sorted sets that are large: with their time to live,
    and the score from which on their members are not read yet."""
    if not found:
        return [], []
    async with client.pipeline(transaction=False) as pipe:
        for key, family in found:
            pipe.pttl(key)
            match family.type:
                case "hash":
                    pipe.hgetall(key)
                case "zset":
                    pipe.zrange(key, 0, FIRST_PAGE - 1, withscores=True)
                case "set":
                    pipe.smembers(key)
                case _:
                    pipe.get(key)
        answers = await pipe.execute()
    copies: list[KeyCopy] = []
    large: list[tuple[bytes, KeyFamily, int, float]] = []
    for number, (key, family) in enumerate(found):
        ttl, value = answers[number * 2 : number * 2 + 2]
        if not value:
            continue  # it has just expired
        copies.append(KeyCopy(key, family.name, _items(family, value), _expiry(ttl)))
        if family.type == "zset" and len(value) == FIRST_PAGE:
            large.append((key, family, ttl, value[-1][1]))
    return copies, large


async def _by_fields(
    client: Redis, family: KeyFamily, found: Sequence[bytes], size: _Size
) -> AsyncIterator[list[KeyCopy]]:
    """Hashes by their fields: one comes in several copies if it is large."""
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE]
        async with client.pipeline(transaction=False) as pipe:
            for key in part:
                pipe.pttl(key)
                pipe.hkeys(key)
            answers = await pipe.execute()
        expiry = dict(zip(part, map(_expiry, answers[::2]), strict=True))
        fields = [
            (key, name) for key, names in zip(part, answers[1::2], strict=True) for name in names
        ]
        at = 0
        while now := fields[at : at + size.count]:
            at += len(now)
            names: dict[bytes, list[bytes]] = {}
            for key, name in now:
                names.setdefault(key, []).append(name)
            async with client.pipeline(transaction=False) as pipe:
                for key, of_key in names.items():
                    pipe.hmget(key, of_key)
                answers = await pipe.execute()
            copies = [
                KeyCopy(key, family.name, items, expiry[key])
                for (key, of_key), values in zip(names.items(), answers, strict=True)
                if (items := _present(of_key, values))
            ]
            size.seen(len(now), sum(map(_bytes, copies)))
            yield copies


def _present(names: Sequence[bytes], values: Sequence[bytes | None]) -> list[bytes]:
    """The fields that are still there, and their values, in turn."""
    fields = zip(names, values, strict=True)
    return [item for name, value in fields if value is not None for item in (name, value)]


def _bytes(copy: KeyCopy) -> int:
    return len(copy.key) + sum(map(len, copy.items))


async def _from(client: Redis, key: bytes, score: float) -> AsyncIterator[list[Any]]:
    """The members of a sorted set from a score on, with their scores.

    Upwards and by score: most scores are times, so what changes meanwhile moves to the end, which
    is read last, and what leaves moves no others past the reader.
    """
    same = 0  # members of this score that are behind the reader
    while True:
        page = await client.zrangebyscore(key, score, "+inf", same, PAGE, withscores=True)
        if page:
            yield page
        if len(page) < PAGE:
            return
        last = float(page[-1][1])
        # Half a page again, in case some of them have left.
        same, score = (same + PAGE // 2, score) if last == score else (0, last)


def _items(family: KeyFamily, value: Any) -> list[bytes]:
    match family.type:
        case "hash":
            return _flat(value)
        case "zset":
            return [item for member, score in value for item in (member, repr(score).encode())]
        case "set":
            return list(value)
        case _:
            return [value]


def _flat(fields: dict[bytes, bytes]) -> list[bytes]:
    return [item for pair in fields.items() for item in pair]


def _expiry(ttl: int) -> int:
    return 0 if ttl < 0 else round(time.time() * 1000) + ttl
