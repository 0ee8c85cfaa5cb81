"""Reads the records of deliveries, which :mod:`event_gateway.state.ledger` writes."""

from collections.abc import Sequence

from redis.asyncio import Redis

from event_gateway.core.errors import NewerFormat
from event_gateway.core.webhook.delivery import Status
from event_gateway.state.keys import DELIVERY, RESPONSES
from event_gateway.state.records import (
    FORMAT,
    Record,
    attempts_of,
    changed_at,
    member_of,
    source_hash,
)

MAX_RECORDS = 256  # that are read in one round trip


async def read_record(
    client: Redis, webhook_id: str, event_id: str, source: str | None
) -> Record | None:
    """The record of a delivery; None if there is none.

    ``event_id`` can also be a member (:func:`member_of`). Without ``source`` it is the first
    recorded event with this id. Raises the exceptions in StateError, and NewerFormat.
    """
    member = member_of(event_id)
    fields, responses = await _fields(client, webhook_id, member)
    if source is not None and fields.get(b"source") != source.encode():
        fields, responses = await _fields(client, webhook_id, f"{member}~{source_hash(source)}")
    return _record(webhook_id, event_id, fields, responses) if fields else None


async def read_records_of(
    client: Redis, webhook_ids: Sequence[str], event_id: str, source: str | None
) -> list[Record | None]:
    """The records of an event's deliveries to many webhooks; as :func:`read_record`, in a few round
    trips."""
    member = member_of(event_id)
    names = [member] if source is None else [member, f"{member}~{source_hash(source)}"]
    records: list[Record | None] = []
    for start in range(0, len(webhook_ids), MAX_RECORDS):
        part = webhook_ids[start : start + MAX_RECORDS]
        async with client.pipeline(transaction=False) as pipe:
            for webhook_id in part:
                for name in names:
                    pipe.hgetall(DELIVERY.key(webhook_id, name))
            stored = await pipe.execute()
        for position, webhook_id in enumerate(part):
            both = stored[len(names) * position : len(names) * (position + 1)]
            fields = next(
                (
                    fields for fields in both
                    if fields and source in (None, fields[b"source"].decode())
                ),
                None,
            )  # fmt: skip
            records.append(None if fields is None else _record(webhook_id, event_id, fields, b""))
    return records


async def _fields(client: Redis, webhook_id: str, member: str) -> tuple[dict[bytes, bytes], bytes]:
    async with client.pipeline(transaction=False) as pipe:
        pipe.hgetall(DELIVERY.key(webhook_id, member))
        pipe.hget(RESPONSES.key(webhook_id), member)
        fields, responses = await pipe.execute()
    return fields, responses or b""


def _record(webhook_id: str, event_id: str, fields: dict[bytes, bytes], responses: bytes) -> Record:
    """A record from its fields in Redis. Raises NewerFormat."""
    if int(fields[b"v"]) > FORMAT:
        raise NewerFormat("this delivery's record", int(fields[b"v"]), FORMAT)
    next_at = fields[b"next_attempt_at"]
    return Record(
        webhook_id=webhook_id,
        event_id=fields[b"event_id"].decode() if b"event_id" in fields else event_id,
        source=fields[b"source"].decode(),
        status=Status(fields[b"status"].decode()),
        updated_at=changed_at(fields[b"timestamp"]),
        attempts=attempts_of(fields[b"log"], responses),
        last_error=fields[b"last_error"].decode() or None,
        next_attempt_at=int(next_at) / 1000 if next_at else None,
        stream=fields[b"stream"].decode(),
        seq=int(fields[b"seq"]),
        run=int(fields[b"run"]),
        run_by=fields.get(b"repeats", b"").decode(),
        dead_letter=int(fields.get(b"letter", 0)),
    )
