"""Adds to the index of events what the log held before it: an earlier version's events, or all that
a Redis has lost.

Where the log stores events for longer than before, their entries are kept for longer, too.

The leading process reads the log backwards, in parts, and stops where the log begins. It reads at
most a third of the time, so that it does not disturb the deliveries.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from nats.js.api import StreamInfo

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.log_search import UNREADABLE, read_back
from event_gateway.broker.stream_list import StreamList
from event_gateway.lookup.finder import decoded
from event_gateway.lookup.log_state import LogState, log_state
from event_gateway.state.connection import StateError
from event_gateway.state.event_index import EventIndex

log = structlog.get_logger(__name__)

LOOK = 5.0  # seconds between two looks whether the index begins where the log does
PART = 500  # messages that are read at a time
PAUSE = 2.0  # times as long as a part has taken


class Backfill:
    """Extends the index of the streams ``streams()``, while ``leads()``."""

    def __init__(
        self,
        broker: Broker,
        listed: StreamList,
        index: EventIndex,
        *,
        streams: Callable[[], Sequence[str]],
        leads: Callable[[], bool],
    ) -> None:
        self._broker = broker
        self._listed = listed
        self._index = index
        self._streams = streams
        self._leads = leads
        self._kept: dict[str, float] = {}  # by stream: for how long its entries are kept
        # By stream, where the index was complete: how the stream was, and where the index began.
        self._complete: dict[str, tuple[StreamInfo | None, int | None]] = {}

    async def run(self) -> None:
        """Extends the index where it is not complete. It never returns."""
        while True:
            try:
                for stream in self._streams():
                    if self._leads():
                        await self._extend(stream)
            except (*UNREADABLE, *BrokerError, *StateError, LogUnavailable) as error:
                log.debug("the index of events is not extended", error=str(error))
            await beat(LOOK)

    async def _extend(self, stream: str) -> None:
        kept = self._index.kept(stream)
        begins = await self._index.begins(stream)
        info = (await self._listed.read()).get(stream) if self._listed.is_short else None
        found = info, begins
        as_before = found == self._complete.get(stream) and kept == self._kept.get(stream)
        if info is not None and as_before:
            return
        state = await log_state(self._broker, self._index, stream)
        if self._kept.get(stream) != kept:
            await self._index.keep(stream, state.days)
            self._kept[stream] = kept
        if begins is None or begins > state.last + 1:
            if state.taken == 0:
                self._complete[stream] = found
                return  # the router begins the index
            begins = state.taken + 1
            await self._index.begin(stream, begins)
        if begins <= state.first:
            self._complete[stream] = found
            return
        earlier, added = begins, 0
        while earlier > state.first and self._leads():
            started = time.monotonic()
            former = earlier
            earlier, count = await self._part(state, earlier)
            if earlier == former:
                return  # another process has extended it, or the log was created again
            added += count
            await asyncio.sleep(PAUSE * (time.monotonic() - started))
        if added:
            log.info("the index of events has the whole log", stream=stream, events=added)

    async def _part(self, state: LogState, begins: int) -> tuple[int, int]:
        """Adds a part of the log that ends before ``begins``. Returns where the index begins now,
        and how many events were added."""
        passage = await read_back(
            self._broker, state.stream, before=begins, floor=state.first, wanted=PART
        )
        events = decoded(state.stream, passage.messages)
        if not await self._index.extend(state.stream, begins, passage.begin, events):
            return begins, 0
        return passage.begin, len(events)
