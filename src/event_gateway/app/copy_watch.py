"""Looks whether NATS still copies events into the named streams, and if not, has it go on.

The leader of a stream reads each source through a consumer, from which it hears each second. Some
changes of a cluster end that for good, others for minutes: nats-server cancels the consumer of a
stream that gets more replicas if a heartbeat of it comes at the wrong moment, and it waits 40
seconds, then longer and longer, after a request that no leader of the source has answered. A new
leader of the stream begins again, behind the last message that the stream has.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Mapping

import structlog
from nats.js.api import StreamInfo
from nats.js.errors import APIError

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.leaders import change_leader
from event_gateway.broker.provision import has_leader
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import STREAM_NOT_COPIED

log = structlog.get_logger(__name__)

STILL = 10.0  # seconds in which a stream hears nothing from a source: then it stands still
LONGEST = 120.0  # seconds between two changes of the leader, at most; STILL at first
MAX_DOUBLINGS = 8  # of that time; a larger power of two would be no float after a day
AT_ONCE = 16  # changes of leaders in one look


class StillStream:
    """A stream that hears nothing from a source. Times on the monotonic clock."""

    def __init__(self, source: str, since: float) -> None:
        self.source, self.since = source, since
        self.changes = 0  # of its leader
        self.changed_at = since

    @property
    def due_at(self) -> float:
        """When its leader is changed next."""
        return self.changed_at + min(STILL * 2.0 ** min(self.changes, MAX_DOUBLINGS), LONGEST)


class CopyWatch:
    """Knows which streams hear nothing from a source, and changes their leaders."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._still: dict[str, StillStream] = {}

    @property
    def reasons(self) -> Iterator[Reason]:
        """Why the gateway's health is degraded."""
        now = time.monotonic()
        for name, still in self._still.items():
            if now - still.since > STILL:
                changes = f"; changes of its leader: {still.changes}" if still.changes else ""
                yield Reason(
                    STREAM_NOT_COPIED,
                    f"the stream {name} has heard nothing from {still.source} for "
                    f"{now - still.since:.0f} s: what came since is not in it yet{changes}",
                    name,
                )

    async def look(
        self, infos: Mapping[str, StreamInfo], named: Iterable[str], *, change: bool
    ) -> None:
        """Compares what NATS says of the streams in ``named``; ``infos`` has their sources, too.
        ``change``: whether this process changes leaders, which one process does for all."""
        now = time.monotonic()
        still = {
            name: found
            for name in named
            if (found := self._found(name, infos, now)) is not None
        }  # fmt: skip
        self._still = still
        if not change:
            return
        due = [
            name
            for name, found in still.items()
            if now >= found.due_at and (infos[name].config.num_replicas or 1) > 1
        ]
        # At the same time: where the user may not, NATS does not answer, which takes seconds.
        await asyncio.gather(*(self._change(name, still[name]) for name in due[:AT_ONCE]))

    def _found(self, name: str, infos: Mapping[str, StreamInfo], now: float) -> StillStream | None:
        """What stands still in a stream; None if nothing does, or if no server could copy now."""
        info = infos.get(name)
        if info is None or not has_leader(info):
            return None
        known = self._still.get(name)
        for source in info.sources or ():
            origin = infos.get(source.name)
            if origin is None or not has_leader(origin):
                continue
            heard = source.active  # nanoseconds ago; -1: not since the stream has its leader
            silent = None if heard is None or heard < 0 else heard / 1e9
            if silent is not None and silent < STILL:
                continue
            if known is not None and known.source == source.name:
                return known
            return StillStream(source.name, now - (silent or 0.0))
        return None

    async def _change(self, name: str, still: StillStream) -> None:
        still.changes += 1
        still.changed_at = time.monotonic()
        log.warning("a stream hears nothing from its source, another server becomes its leader",
                    stream=name, source=still.source,
                    seconds=round(still.changed_at - still.since))  # fmt: skip
        try:
            await change_leader(self._broker, name)
        except (*BrokerError, APIError) as error:
            log.error("the leader of a stream cannot be changed", stream=name,
                      error=str(error) or type(error).__name__)  # fmt: skip
