"""Reads the audit log: pages of calls, the newest first, and records in their order."""

from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from event_gateway.broker.audit_log import BEGUN, AuditLog
from event_gateway.broker.pull import Pulled
from event_gateway.core.audit.record import AuditRecord, Members, begun_call, decode
from event_gateway.core.text.times import rfc3339

READ = 1000  # records in one read
SCAN = 5000  # records that a page reads: it can have fewer calls than match
MAX_OPEN = 500  # calls in a cursor


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls to read; None: any. ``since`` and ``until`` in seconds since the epoch, by when
    the log has stored the record. ``resource`` may be a kind alone, ``operation`` may be a group
    alone. ``outcome``: one, or the status of the answer."""

    since: float | None = None
    until: float | None = None
    principal: str | None = None
    operation: str | None = None
    resource: str | None = None
    outcome: str | None = None

    def passes(self, record: AuditRecord, outcome: str) -> bool:
        """Whether a call passes, apart from its time."""
        who = record.principal
        return (
            (self.principal is None or (who is not None and self.principal in (who.name, who.id)))
            and _within(self.operation, record.operation, ".")
            and _within(self.resource, record.resource, "/")
            and (self.outcome is None or self.outcome in (outcome, str(record.status)))
        )


class Position(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins: records with a lower sequence than ``before``. ``ended``: the calls
    whose second record was read, and whose first comes."""

    before: int
    ended: tuple[str, ...] = ()


async def page(
    log: AuditLog, filters: CallFilter, limit: int, position: Position | None
) -> tuple[list[dict[str, Any]], Position | None]:
    """At most ``limit`` calls that pass, the newest first, and where the next page begins, if there
    may be more. A call whose second record is missing has the outcome ``unknown``: it is going on,
    or its process ended.

    Raises LogUnavailable.
    """
    first, last = await log.bounds()
    before = last + 1 if position is None else min(position.before, last + 1)
    ended = set(() if position is None else position.ended)
    if position is None and filters.until is not None:
        before = await log.first_since(filters.until) or before
        ended |= _began_before(await log.read(before, READ) if before <= last else [])
    calls: list[dict[str, Any]] = []
    scanned = 0
    while before > first and scanned < SCAN:
        start = max(first, before - READ)
        scanned += before - start
        batch = await _between(log, start, before)
        for pulled in reversed(batch):
            if filters.since is not None and pulled.time < filters.since:
                return calls, None
            if len(calls) == limit:
                return calls, Position(pulled.seq + 1, tuple(ended)[:MAX_OPEN])
            before = pulled.seq
            shown = _call(pulled, filters, ended)
            if shown is not None:
                calls.append(shown)
        before = start
    return calls, Position(before, tuple(ended)[:MAX_OPEN]) if before > first else None


async def records(log: AuditLog, filters: CallFilter) -> AsyncGenerator[bytes, None]:
    """The stored bytes of the records that pass, the oldest first, up to the last one that is
    there now. The first record of a call has no outcome yet: it passes a filter by ``outcome`` only
    as ``unknown``. Raises LogUnavailable."""
    first, last = await log.bounds()
    if filters.since is not None:
        first = max(first, await log.first_since(filters.since) or last + 1)
    while first <= last:
        read = await log.read(first, min(READ, last + 1 - first))
        if not read:
            return
        for pulled in read:
            if pulled.seq > last or (filters.until is not None and pulled.time >= filters.until):
                return
            record = decode(pulled.data)
            if record is None or filters.passes(record, record.outcome or "unknown"):
                yield pulled.data
        first = read[-1].seq + 1


async def _between(log: AuditLog, start: int, before: int) -> list[Pulled]:
    """All records from ``start`` to before ``before``; one read has fewer where they are large."""
    found: list[Pulled] = []
    while start < before:
        read = await log.read(start, before - start)
        found += [each for each in read if each.seq < before]
        if not read:
            break
        start = read[-1].seq + 1
    return found


def _within(wanted: str | None, name: str, separator: str) -> bool:
    return wanted is None or name == wanted or name.startswith(f"{wanted}{separator}")


def _or_none(members: Members) -> msgspec.Raw | None:
    return None if members is msgspec.UNSET else members


def _began_before(following: list[Pulled]) -> set[str]:
    """The calls that end in these records and began before them."""
    began, ended = set[str](), set[str]()
    for pulled in following:
        record = decode(pulled.data)
        if record is not None and record.phase == "begun":
            began.add(record.call)
        elif record is not None and record.phase == "ended" and record.call not in began:
            ended.add(record.call)
    return ended


def _call(pulled: Pulled, filters: CallFilter, ended: set[str]) -> dict[str, Any] | None:
    """A call as the API shows it; None if it does not pass, or was shown by its second record."""
    if ended and pulled.subject == BEGUN and (call := begun_call(pulled.data)) in ended:
        ended.discard(call)
        return None
    record = decode(pulled.data)
    if record is None:
        return {"seq": pulled.seq, "time": rfc3339(pulled.time), "outcome": "unreadable"}
    if record.phase == "ended":
        ended.add(record.call)
    outcome = record.outcome or "unknown"
    if not filters.passes(record, outcome):
        return None
    return {
        "seq": pulled.seq,
        "id": record.call,
        "time": record.began or record.time,
        "ended_at": record.time if record.phase == "ended" else None,
        "principal": None if record.principal is None else {
            "name": record.principal.name,
            "method": record.principal.method,
            "id": record.principal.id,
            "namespaces": record.principal.namespaces,
            "types": record.principal.types,
            "streams": record.principal.streams,
        },
        "client": record.client or None,
        "request_id": record.request_id or None,
        "operation": record.operation,
        "resource": record.resource or None,
        "outcome": outcome,
        "status": record.status,
        "before": _or_none(record.before),
        "after": _or_none(record.after),
        "unrecorded": record.unrecorded,
        "process": record.process,
        "number": record.number,
    }  # fmt: skip
