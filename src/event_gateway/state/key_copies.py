"""Copies the gateway's keys out of Redis and back, by the commands that it uses anyway.

So a copy needs no further rights, and fits every version of Redis and Valkey. It is taken while the
gateway works, and no two keys of it need be of the same moment, with two exceptions:

- The checkpoints come first: every event up to them has its records, whatever comes later.
- A record of a delivery and its place in the queue are read in one transaction.

Therefore a delivery that is in the copy is in a state in which it was, and one that is missing is
of an event behind the checkpoint: the repair reads it again.
"""

import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state import keys
from event_gateway.state.key_family import PREFIX, Family
from event_gateway.state.keys import CHECKPOINT, DELIVERY, DUE, FORMAT, PAUSED, QUEUE, family_of
from event_gateway.state.records import RESTORING

SCANNED = 1000  # keys that Redis looks at in one call
AT_ONCE = 128  # keys that are read or written in one call
PAGE = 10_000  # members of a sorted set that are read in one call
FIRST_PAGE = 100  # members that are read together with those of other keys

# Leases, live subscriptions, the latest writes of processes that have ended, the latest starts of
# attempts; and what is made again from the records and their places.
LEFT_OUT = frozenset({
    keys.LAST_WRITE.name, keys.ORDERED.name, keys.REPLAY_LEASE.name, keys.REREADING.name,
    keys.RATE.name, keys.SUBSCRIPTION.name, keys.HISTORY_WRITTEN.name, QUEUE.name, DUE.name,
})  # fmt: skip
# Before the records: what they say is done must have its records.
FIRST = (CHECKPOINT, keys.REPLAY)

_RECORD = f"{PREFIX}{DELIVERY.literals[0]}".encode()
assert DELIVERY.placeholders == ["webhook", "event"]


class KeyCopy(msgspec.Struct, array_like=True, frozen=True):
    """A key with its value, or with a part of a sorted set.

    ``items``: of a hash its fields and values in turn, of a sorted set its members and scores, of a
    set its members, of a string the string. ``expires_at`` in ms since the epoch, 0: never.
    ``due``: of a record, its delivery's place in the queue (ms); None if it has none.
    """

    key: bytes
    family: str
    items: list[bytes]
    expires_at: int = 0
    due: float | None = None


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
    for family in FIRST:
        async for found in _scan(client, family):
            first.update(found)
            async for copies in _read(client, found):
                yield copies
    async for scanned in _scan(client, None):
        found = [key for key in scanned if key not in first]  # what they say now came too late
        for start in range(0, len(found), AT_ONCE):
            async for copies in _read(client, found[start : start + AT_ONCE]):
                yield copies
    # Deliveries that wait, once more: a renaming of their webhook may have moved them from keys
    # that were not read yet to names that were behind already.
    async for found in _scan(client, QUEUE):
        for queue in found:
            async for waiting in _queued(client, queue):
                async for copies in _read(client, waiting):
                    yield copies


async def _scan(client: Redis, family: Family | None) -> AsyncIterator[list[bytes]]:
    pattern = f"{PREFIX}*" if family is None else f"{PREFIX}{family.literals[0]}*"
    cursor, first = 0, True
    while cursor or first:
        first = False
        cursor, found = await cast(Any, client.scan(cursor, match=pattern, count=SCANNED))
        if found:
            yield found


async def _queued(client: Redis, queue: bytes) -> AsyncIterator[list[bytes]]:
    """The keys of the records in a queue. A page overlaps the one before: what ends meanwhile moves
    the others forward."""
    webhook = queue.removeprefix(f"{PREFIX}{QUEUE.literals[0]}".encode())
    begin = 0
    while True:
        members = await cast(Any, client).zrange(queue, begin, begin + AT_ONCE - 1)
        if not members:
            return
        yield [_RECORD + webhook + b":" + member for member in members]
        begin += AT_ONCE // 2


async def _read(client: Redis, found: Sequence[bytes]) -> AsyncIterator[list[KeyCopy]]:
    """The values of these keys; a sorted set that is large comes in further lists of its own."""
    named = [
        (key, family) for key in found
        if (family := _family_of(key)) is not None and family.name not in LEFT_OUT
    ]  # fmt: skip
    records = [key for key, family in named if family is DELIVERY]
    others = [(key, family) for key, family in named if family is not DELIVERY]
    copies: list[KeyCopy] = []
    if records:
        async with client.pipeline(transaction=True) as pipe:
            for key in records:
                webhook, member = key[len(_RECORD) :].split(b":", 1)
                pipe.hgetall(key)
                pipe.pttl(key)
                pipe.zscore(QUEUE.key(webhook.decode()), member)
            answers = await pipe.execute()
        for number, key in enumerate(records):
            fields, ttl, due = answers[number * 3 : number * 3 + 3]
            if fields:
                copies.append(KeyCopy(key, DELIVERY.name, _flat(fields), _expiry(ttl), due))
    large: list[tuple[bytes, Family, int, float]] = []
    if others:
        async with client.pipeline(transaction=False) as pipe:
            for key, family in others:
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
        for number, (key, family) in enumerate(others):
            ttl, value = answers[number * 2 : number * 2 + 2]
            if not value:
                continue  # it has just expired
            copies.append(KeyCopy(key, family.name, _items(family, value), _expiry(ttl)))
            if family.type == "zset" and len(value) == FIRST_PAGE:
                large.append((key, family, ttl, value[-1][1]))
    yield copies
    for key, family, ttl, highest in large:
        async for value in _from(client, key, highest):
            yield [KeyCopy(key, family.name, _items(family, value), _expiry(ttl))]


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


def _family_of(key: bytes) -> Family | None:
    if key.startswith(_RECORD) and key.count(b":") > 1:
        return DELIVERY  # nearly all
    return family_of(key.decode(errors="replace"))


def _items(family: Family, value: Any) -> list[bytes]:
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


async def is_empty(client: Redis) -> bool:
    """Whether there is no key of the gateway. Raises the exceptions in StateError."""
    async for found in _scan(client, None):
        if any(_family_of(key) is not None for key in found):
            return False
    return True


async def is_interrupted(client: Redis) -> bool:
    """Whether a restoration has begun and has not been completed. Raises the exceptions in
    StateError."""
    return bool(await client.get(FORMAT.key()) == RESTORING)


async def begin(client: Redis) -> None:
    """Begins a series of :func:`copy_in`: no gateway starts until it is completed. Raises the
    exceptions in StateError."""
    await client.set(FORMAT.key(), RESTORING)


async def copy_in(client: Redis, copies: Sequence[KeyCopy]) -> None:
    """Writes keys of a copy; those that have expired since are left out.

    Raises the exceptions in StateError.
    """
    now = round(time.time() * 1000)
    types = {family.name: family.type for family in keys.FAMILIES}
    for start in range(0, len(copies), AT_ONCE):
        async with client.pipeline(transaction=False) as pipe:
            for copy in copies[start : start + AT_ONCE]:
                if not 0 < copy.expires_at <= now:
                    _write(pipe, copy, types.get(copy.family))
            await pipe.execute()


def _write(pipe: Any, copy: KeyCopy, kind: str | None) -> None:
    if kind is None or copy.family == FORMAT.name:
        return  # a family of another version, whose meaning this one does not know; or the last one
    items = copy.items
    if copy.family == DELIVERY.name:
        webhook, member = copy.key[len(_RECORD) :].split(b":", 1)
        queue = QUEUE.key(webhook.decode())
        pipe.delete(copy.key)  # it may be there from an earlier part
        if copy.due is None:
            pipe.zrem(queue, member)
        else:
            pipe.zadd(queue, {member: copy.due})
            # The due loop sets the time as soon as it looks at the webhook.
            pipe.zadd(DUE.key(), {webhook: copy.due}, lt=True)
    match kind:
        case "hash":
            pipe.hset(copy.key, items=items)
        case "zset":
            pipe.zadd(copy.key, dict(zip(items[::2], map(float, items[1::2]), strict=True)))
        case "set":
            pipe.sadd(copy.key, *items)
        case "string":
            pipe.set(copy.key, items[0])
    if copy.expires_at:
        pipe.pexpireat(copy.key, copy.expires_at)


async def complete(client: Redis, records_format: int) -> None:
    """Ends a series of :func:`copy_in`, whose records have this format: paused webhooks are not
    due, and a gateway may start. Raises the exceptions in StateError."""
    paused = await cast(Any, client.smembers(PAUSED.key()))
    if paused:
        await client.zrem(DUE.key(), *paused)
    await client.set(FORMAT.key(), records_format)


async def delete_all(client: Redis) -> None:
    """Deletes all keys of the gateway. Raises the exceptions in StateError."""
    async for found in _scan(client, None):
        ours = [key for key in found if _family_of(key) is not None]
        if ours:
            await client.delete(*ours)
