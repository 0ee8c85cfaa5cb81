"""Counts the requests to each source by their outcome, with the latest refusal."""

import time

import msgspec
import structlog
from redis.asyncio import Redis

from event_gateway.beats import beat
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.outcomes import TAKEN, LatestRefusal, RequestCounts
from event_gateway.core.text.times import rfc3339
from event_gateway.state.connection import StateError
from event_gateway.state.keys import SOURCE

log = structlog.get_logger(__name__)

FLUSH = 1.0  # seconds between two writes
MAX_DETAIL = 512  # characters of why a request was refused
_COUNT, _SINCE, _TAKEN_AT, _REFUSAL = "count:", "since", "taken_at", "refusal"

_refusal = msgspec.json.Decoder(LatestRefusal).decode


class _Noted(msgspec.Struct):
    """What is not written yet."""

    counts: dict[str, int] = {}
    taken_at: str = ""
    refusal: bytes = b""


class SourceCounts:
    """The counts of all processes together, since the registration of a source. A process that
    ends loses its last second, and what comes while Redis is away is not counted; nothing depends
    on them."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._noted: dict[str, _Noted] = {}  # by key; there are as many as sources

    def note(self, source: SourceDefinition, outcome: str, detail: str = "") -> None:
        """Notes what came of a request. ``detail``: why it was refused."""
        noted = self._noted.setdefault(_key(source), _Noted())
        noted.counts[outcome] = noted.counts.get(outcome, 0) + 1
        now = rfc3339(time.time())
        if outcome in TAKEN:
            noted.taken_at = now
        else:
            latest = LatestRefusal(at=now, reason=outcome, detail=detail[:MAX_DETAIL])
            noted.refusal = msgspec.json.encode(latest)

    async def of(self, sources: list[SourceDefinition]) -> list[RequestCounts]:
        """The counts of these sources. Raises the exceptions in StateError."""
        async with self._client.pipeline(transaction=False) as pipe:
            for source in sources:
                pipe.hgetall(_key(source))
            return [_counts(stored) for stored in await pipe.execute()]

    async def run(self) -> None:
        """Writes what was noted. It never returns."""
        while True:
            await beat(FLUSH)
            if not self._noted:
                continue
            noted, self._noted = self._noted, {}
            try:
                async with self._client.pipeline(transaction=False) as pipe:
                    for key, each in noted.items():
                        pipe.hsetnx(key, _SINCE, rfc3339(time.time()))
                        for outcome, count in each.counts.items():
                            pipe.hincrby(key, _COUNT + outcome, count)
                        if each.taken_at:
                            pipe.hset(key, _TAKEN_AT, each.taken_at)
                        if each.refusal:
                            pipe.hset(key, _REFUSAL, each.refusal)
                        pipe.pexpire(key, SOURCE.ttl_ms)
                    await pipe.execute()
            except StateError as error:
                log.debug("the counts of sources were not written", error=str(error))


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
