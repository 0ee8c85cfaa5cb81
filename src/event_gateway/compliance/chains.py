"""Keeps a chainer for each compliance stream, in the process that leads, and watches their lag."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import structlog

from event_gateway.beats import beat
from event_gateway.broker.append_only import allowed_changes, wrong_settings
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.named_streams import UnknownStream, bounds, stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.compliance.anchoring import Anchoring, AnchorKey
from event_gateway.compliance.chainer import Chainer
from event_gateway.compliance.sealed_copy import SealedCopy
from event_gateway.compliance.sealing import DataSealing
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import CHAIN_BEHIND, CHAIN_BROKEN, SEALING
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.observability.announcements import Announcements
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two looks
LATE = 60.0  # seconds for which a message may wait for its record, before the health degrades
PERMISSIONS_KEPT = 30.0  # seconds until NATS is asked again: it logs each request that it denies
SAMPLES = 128  # ends of a stream that are remembered to tell how long it waits


class ChainCounters(Protocol):
    """What is counted."""

    def chained(self, stream: str, count: int) -> None:
        """``count`` more messages have their record."""

    def anchored(self, stream: str) -> None:
        """The chain has got an anchor."""

    def chain_lags(self, lags: Mapping[str, int]) -> None:
        """How many messages of each stream wait for their record."""


class ChainState(NamedTuple):
    """``lag``: messages without a record. ``problem``: what is wrong with the chain."""

    lag: int
    problem: str | None


class _Running:
    """A chainer, the sealed copy if the stream is one, their tasks, and how the stream grew."""

    def __init__(
        self, chainer: Chainer, copy: SealedCopy | None, tasks: list[asyncio.Task[None]]
    ) -> None:
        self.chainer, self.copy, self.tasks = chainer, copy, tasks
        self.lag = 0
        self.waits_since: float | None = None  # monotonic: of the oldest message without a record
        self.short: str | None = None  # the stream ends before its chain
        self._ends: deque[tuple[float, int]] = deque(maxlen=SAMPLES)

    def observe(self, last: int) -> None:
        """Takes the last sequence of the stream."""
        covered, now = self.chainer.covered, time.monotonic()
        self.lag = max(0, last - covered)
        self.short = (
            f"the stream ends at {last}, its chain at {covered}" if last < covered else None
        )
        while self._ends and self._ends[0][1] <= covered:
            self._ends.popleft()
        if self.lag and (not self._ends or self._ends[-1][1] < last):
            if len(self._ends) == SAMPLES:
                self._ends.pop()  # the oldest says how long it waits
            self._ends.append((now, last))
        self.waits_since = self._ends[0][0] if self._ends else None


class Chains:
    """The chains of all compliance streams. ``reasons``: why the health is degraded."""

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        peers: Peers,
        announcements: Announcements,
        *,
        key: AnchorKey,
        sealing: DataSealing,
        counters: ChainCounters,
        supervisor: Supervisor,
        chain_every: float,
        anchor_every: float,
    ) -> None:
        self.key = key
        self._broker = broker
        self._registry = registry
        self._peers = peers
        self._announcements = announcements
        self._sealing = sealing
        self._counters = counters
        self._supervisor = supervisor
        self._chain_every = chain_every
        self._anchor_every = anchor_every
        self._running: dict[str, _Running] = {}
        self._checked: set[str] = set()
        self._permissions: dict[str, tuple[float, list[str]]] = {}  # and when they were asked for
        self._permissions_lock = asyncio.Lock()

    @property
    def reasons(self) -> Iterable[Reason]:
        """Chains that are behind, or that do not fit their stream."""
        for name, running in list(self._running.items()):
            since = running.waits_since
            if since is not None and time.monotonic() - since > LATE:
                why = f": {running.chainer.problem}" if running.chainer.problem else ""
                text = f"{running.lag} messages of {name} wait for its chain{why}"
                yield Reason(CHAIN_BEHIND, text, name)
            if running.copy is not None and running.copy.problem is not None:
                yield Reason(SEALING, f"{name} gets no events: {running.copy.problem}", name)
            broken = running.chainer.went_back or running.short
            if broken is not None:
                yield Reason(CHAIN_BROKEN, f"{name}: {broken}", name)

    def state(self, name: str) -> ChainState | None:
        """How far the chain of a stream is; None if another process writes it."""
        running = self._running.get(name)
        if running is None:
            return None
        chainer = running.chainer
        return ChainState(running.lag, chainer.problem or chainer.went_back or running.short)

    async def allowed_changes(self, name: str) -> list[str]:
        """What the gateway's user may do in NATS that changes or empties a stream, as it was at
        most PERMISSIONS_KEPT seconds ago. Raises what BrokerError names."""
        async with self._permissions_lock:  # two at a time would take each other's refusals
            known = self._permissions.get(name)
            if known is None or time.monotonic() - known[0] >= PERMISSIONS_KEPT:
                allowed = await allowed_changes(self._broker, name)
                known = self._permissions[name] = time.monotonic(), allowed
                for other in self._permissions.keys() - self._registry.streams.keys() - {name}:
                    del self._permissions[other]
            return known[1]

    async def run(self) -> None:
        """Starts and ends chainers as streams and the leader change. It never returns."""
        try:
            while True:
                await self._look()
                await beat(INTERVAL)
        finally:
            self._counters.chain_lags({})
            await end(task for running in self._running.values() for task in running.tasks)
            self._running.clear()

    async def _look(self) -> None:
        wanted = {
            name: definition
            for name, definition in self._registry.streams.items()
            if definition.compliance and not definition.deleting
        }
        if not self._peers.leads:
            wanted = {}
        if not (wanted or self._running):
            return
        for name, running in list(self._running.items()):
            if running.chainer.definition != wanted.get(name):
                del self._running[name]
                await end(running.tasks)
        for name, definition in wanted.items():
            if name not in self._running:
                self._start(definition)
        await self._observe()
        self._counters.chain_lags({name: running.lag for name, running in self._running.items()})
        for name in wanted.keys() - self._checked:
            await self._check(wanted[name])

    def _start(self, definition: StreamDefinition) -> None:
        name = definition.name
        anchoring = Anchoring(
            self._broker, self._announcements, self.key, every=self._anchor_every,
            anchored=lambda: self._counters.anchored(name),
        )  # fmt: skip
        chainer = Chainer(
            self._broker, definition, anchoring, every=self._chain_every,
            leads=lambda: self._peers.leads,
            chained=lambda count: self._counters.chained(name, count),
        )  # fmt: skip
        tasks = [self._supervisor.start("chain", chainer.run, about=name)]
        copy = None
        if definition.sealed_by is not None:
            copy = SealedCopy(
                self._broker, definition, self._sealing, leads=lambda: self._peers.leads
            )
            tasks.append(self._supervisor.start("sealed-copy", copy.run, about=name))
        self._running[name] = _Running(chainer, copy, tasks)

    async def _observe(self) -> None:
        for name, running in self._running.items():
            try:
                running.observe((await bounds(self._broker, stream_name(name))).last)
            except (UnknownStream, *BrokerError) as error:
                log.debug("the end of a stream is not known", stream=name, error=str(error))

    async def _check(self, definition: StreamDefinition) -> None:
        """Says once whether the stream can only grow."""
        name = definition.name
        try:
            allowed = await self.allowed_changes(name)
            wrong = await wrong_settings(self._broker, definition)
        except BrokerError as error:
            log.debug("the permissions cannot be checked yet", stream=name, error=str(error))
            return
        if any("does not exist" in each for each in wrong):
            return  # the chain's stream is about to be made
        self._checked.add(name)
        if allowed or wrong:
            reason = "; ".join([*wrong, *(f"the gateway's user may publish on {subject}"
                                          for subject in allowed)])  # fmt: skip
            log.warning("a compliance stream is not append-only", stream=name, reason=reason)
        else:
            log.info("a compliance stream is append-only for the gateway's user", stream=name)
