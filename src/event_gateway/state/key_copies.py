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
from event_gateway.state.key_family import PREFIX, KeyFamily
from event_gateway.state.keys import DELIVERY, DUE, FORMAT, PAUSED, QUEUE, family_of
from event_gateway.state.records import RESTORING

SCANNED = 1000  # keys that Redis looks at in one call
AT_ONCE = 128  # keys that are written in one call

RECORD = f"{PREFIX}{DELIVERY.literals[0]}".encode()
assert DELIVERY.placeholders == ["webhook", "event"]


class KeyCopy(msgspec.Struct, array_like=True, frozen=True):
    """A key with its value, or with a part of a sorted set or of a hash.

    ``items``: of a hash its fields and values in turn, of a sorted set its members and scores, of a
    set its members, of a string the string. ``expires_at`` in ms since the epoch, 0: never.
    ``due``: of a record, its delivery's place in the queue (ms); None if it has none.
    """

    key: bytes
    family: str
    items: list[bytes]
    expires_at: int = 0
    due: float | None = None


async def scan(client: Redis, family: KeyFamily | None) -> AsyncIterator[list[bytes]]:
    """The keys of the gateway, or those of a family, some at a time."""
    pattern = f"{PREFIX}*" if family is None else f"{PREFIX}{family.literals[0]}*"
    cursor, first = 0, True
    while cursor or first:
        first = False
        cursor, found = await cast(Any, client.scan(cursor, match=pattern, count=SCANNED))
        if found:
            yield found


def family_of_key(key: bytes) -> KeyFamily | None:
    """The family of a key; None of one that is not the gateway's."""
    if key.startswith(RECORD) and key.count(b":") > 1:
        return DELIVERY  # nearly all
    return family_of(key.decode(errors="replace"))


async def is_empty(client: Redis) -> bool:
    """Whether there is no key of the gateway. Raises the exceptions in StateError."""
    async for found in scan(client, None):
        if any(family_of_key(key) is not None for key in found):
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
        webhook, member = copy.key[len(RECORD) :].split(b":", 1)
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
    async for found in scan(client, None):
        ours = [key for key in found if family_of_key(key) is not None]
        if ours:
            await client.delete(*ours)
