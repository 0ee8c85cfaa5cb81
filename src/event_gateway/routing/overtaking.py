"""Overtaking: events of other subjects need not wait behind a burst.

The router takes events in the order of the log, so an event behind a burst of 50,000 would be
routed after all of them. While the router is far behind, one of the processes reads the events
behind the burst that are on other subjects, and routes them ahead. The router skips them when it
comes to them, as their deliveries are recorded by then.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import structlog
from nats.js.errors import APIError

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.broker.single_get import get_message
from event_gateway.broker.stream_follower import follow_stream
from event_gateway.core.streams.definition import EVENTS
from event_gateway.routing import lag
from event_gateway.routing.lag import Behind, RouterLag, measure
from event_gateway.routing.router import Router
from event_gateway.state.connection import StateError

log = structlog.get_logger(__name__)

LOOK = 0.5  # seconds between two looks at the subjects of a burst
FAR = 2000  # events that no process has taken, from which on others overtake them
MARGIN = 4096  # events behind the last taken one that are left to the router, which is about there
LOOK_AGAIN = 1.5  # seconds until the next look where nothing overtakes
SAMPLE = 32  # events that are looked at, of those that wait
BURST = 0.9  # part of the waiting events that makes up the burst
MAX_GROUPS = 4  # subjects of a burst, above which prefixes stand for them
MAX_FILTERS = 500  # subjects and prefixes that overtake at a time


class Overtaking:
    """Routes events on other subjects ahead of a burst in the gateway's own log."""

    def __init__(self, broker: Broker, router: Router, lag: RouterLag, peers: Peers) -> None:
        self._broker = broker
        self._router = router
        self._lag = lag
        self._peers = peers
        self._position = 0  # the sequence up to which events were routed ahead
        self._oldest: dict[str, tuple[int, float | None]] = {}  # for :func:`measure`

    async def run(self) -> None:
        """Looks whether the router is far behind, for ever."""
        while True:
            await beat(lag.LOOK)
            if self._peers.leads and self._lag.untaken(EVENTS) > FAR:
                try:
                    await self._overtake()
                except (*BrokerError, *StateError, APIError) as error:
                    log.debug("not overtaken", error=str(error) or type(error).__name__)

    async def _overtake(self) -> None:
        """Routes ahead until the subjects of the burst are others, or it is over."""
        behind = await measure(self._broker, EVENTS, self._oldest)
        filters, last_seq = await self._others(behind)
        if not filters:
            await asyncio.sleep(LOOK_AGAIN)
            return
        if self._position > last_seq:
            self._position = 0  # the stream was created again
        start = max(behind.taken + MARGIN, self._position) + 1
        read = start - 1
        looked = time.monotonic()
        batches = follow_stream(self._broker, EVENTS, from_seq=start, filter_subjects=filters)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                # The routers come closer meanwhile, so their position is read afterwards: what two
                # processes route at the same time is delivered twice.
                await self._router.wait_for_room()
                behind = await measure(self._broker, EVENTS, self._oldest)
                if behind.untaken <= MARGIN or not self._peers.leads:
                    return
                ahead = [pulled for pulled in batch if pulled.seq > behind.taken + MARGIN]
                if ahead:
                    await self._router.route_ahead(ahead)
                if batch:
                    read = batch[-1].seq
                if time.monotonic() - looked < LOOK:
                    continue
                looked = time.monotonic()
                # Of a subject that is new since the last look, nothing was read yet.
                self._position = min(read, last_seq) if batch else last_seq
                now, last_seq = await self._others(behind)
                if now != filters:
                    return

    async def _others(self, behind: Behind) -> tuple[list[str], int]:
        """Filters for the subjects that are not of the burst, and the last sequence they cover."""
        info = await self._broker.js.stream_info(EVENTS, subjects_filter=">")
        last = info.state.last_seq
        if last <= behind.taken:
            return [], last
        count = min(SAMPLE, last - behind.taken)
        seqs = random.sample(range(behind.taken + 1, last + 1), count)
        messages = await asyncio.gather(
            *(get_message(self._broker, EVENTS, seq) for seq in seqs), return_exceptions=True
        )
        sample = [
            message.subject
            for message in messages
            if not isinstance(message, BaseException) and message.subject
        ]
        return filters_beside(info.state.subjects or {}, burst_of(sample)), last


def burst_of(sample: Sequence[str]) -> set[str]:
    """The fewest subjects that make up most of a sample of waiting events; where these are many,
    prefixes of them such as ``orders.>``."""
    groups = Counter(sample)
    while len(burst := _most_of(groups, len(sample))) > MAX_GROUPS:
        shorter: Counter[str] = Counter()
        for group, count in groups.items():
            shorter[_shortened(group)] += count
        if shorter == groups:
            break
        groups = shorter
    return burst


def _most_of(groups: Counter[str], count: int) -> set[str]:
    burst: set[str] = set()
    left = count * BURST
    for group, size in groups.most_common():
        if left <= 0:
            break
        burst.add(group)
        left -= size
    return burst


def filters_beside(subjects: Iterable[str], burst: set[str]) -> list[str]:
    """Filters that match the subjects without those of the burst, and no subject twice: a prefix
    where the burst has no subject below it."""
    of_burst = [group.removesuffix(".>").split(".") for group in burst]
    prefixes = {tuple(tokens[:length]) for tokens in of_burst for length in range(len(tokens) + 1)}
    whole = tuple(group[:-1] for group in burst if group.endswith(".>"))  # with the last dot
    filters = set()
    for subject in subjects:
        if subject in burst or subject.startswith(whole):
            continue
        tokens = subject.split(".")
        for length in range(1, len(tokens)):
            if tuple(tokens[:length]) not in prefixes:
                filters.add(".".join((*tokens[:length], ">")))
                break
        else:
            filters.add(subject)
    return sorted(filters)[:MAX_FILTERS]


def _shortened(group: str) -> str:
    tokens = group.removesuffix(".>").split(".")
    return ".".join((*tokens[:-1], ">")) if len(tokens) > 1 else group
