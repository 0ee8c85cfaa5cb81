"""Counts the requests to each source by their outcome, with the latest refusal."""

import time
from typing import Any

import msgspec
from redis.asyncio import Redis

from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.outcomes import TAKEN, LatestRefusal, RequestCounts
from event_gateway.core.text.times import rfc3339
from event_gateway.state.keys import SOURCE
from event_gateway.state.notes import Notes

MAX_NOTED = 10_000  # sources whose requests are counted while Redis is away; others are not
MAX_DETAIL = 512  # characters of why a request was refused
_COUNT, _SINCE, _TAKEN_AT, _REFUSAL = "count:", "since", "taken_at", "refusal"

_refusal = msgspec.json.Decoder(LatestRefusal).decode


class _Requests(msgspec.Struct):
    """Requests to a source, by their outcome."""

    counts: dict[str, int]
    taken_at: str | None = None
    refusal: LatestRefusal | None = None

    def add(self, later: "_Requests") -> None:
        for outcome, count in later.counts.items():
            self.counts[outcome] = self.counts.get(outcome, 0) + count
        self.taken_at = later.taken_at or self.taken_at
        self.refusal = later.refusal or self.refusal

    def write(self, pipe: Any, key: str) -> None:
        pipe.hsetnx(key, _SINCE, rfc3339(time.time()))
        for outcome, count in self.counts.items():
            pipe.hincrby(key, _COUNT + outcome, count)
        if self.taken_at is not None:
            pipe.hset(key, _TAKEN_AT, self.taken_at)
        if self.refusal is not None:
            pipe.hset(key, _REFUSAL, msgspec.json.encode(self.refusal))
        pipe.pexpire(key, SOURCE.ttl_ms)


class SourceCounts:
    """The counts of all processes together, since the registration of a source. :class:`Notes`
    says which requests they may miss."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._notes: Notes[_Requests] = Notes(client, subject="requests to sources", most=MAX_NOTED)

    def note(self, source: SourceDefinition, outcome: str, detail: str = "") -> None:
        """Counts a request by its outcome. ``detail``: why it was refused."""
        now = rfc3339(time.time())
        request = _Requests({outcome: 1})
        if outcome in TAKEN:
            request.taken_at = now
        else:
            request.refusal = LatestRefusal(at=now, reason=outcome, detail=detail[:MAX_DETAIL])
        self._notes.add(_key(source), request)

    async def of(self, sources: list[SourceDefinition]) -> list[RequestCounts]:
        """The counts of these sources. Raises the exceptions in StateError."""
        async with self._client.pipeline(transaction=False) as pipe:
            for source in sources:
                pipe.hgetall(_key(source))
            return [_counts(stored) for stored in await pipe.execute()]

    async def run(self) -> None:
        """Writes what was noted. It never returns."""
        await self._notes.run()


def _key(source: SourceDefinition) -> str:
    # A source that is deleted and registered again begins at 0.
    return SOURCE.key(source.name, str(round(source.created_at * 1000)))


def _counts(stored: dict[bytes, bytes]) -> RequestCounts:
    fields = {name.decode(): value for name, value in stored.items()}
    counts = {
        name.removeprefix(_COUNT): int(value)
        for name, value in fields.items() if name.startswith(_COUNT)
    }  # fmt: skip
    refusal = fields.get(_REFUSAL)
    return RequestCounts(
        since=fields[_SINCE].decode() if _SINCE in fields else None,
        taken=sum(count for outcome, count in counts.items() if outcome in TAKEN),
        refused=sum(count for outcome, count in counts.items() if outcome not in TAKEN),
        outcomes=dict(sorted(counts.items())),
        taken_at=fields[_TAKEN_AT].decode() if _TAKEN_AT in fields else None,
        latest_refusal=None if refusal is None else _refusal(refusal),
    )
