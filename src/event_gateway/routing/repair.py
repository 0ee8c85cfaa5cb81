"""Repair: when Redis may have lost records, the log is reread, and missing deliveries are queued.

Once a second, one of the processes writes the router's ack floor to Redis as the checkpoint. A
server that loses records loses the checkpoint with them. The events after the last checkpoint are
then reread, and deliveries without a record are queued.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from nats.js.errors import NotFoundError

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import ROUTER
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_page import read_page
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import REPAIR
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.webhook.delivery import Delivery, Status
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.routing.index import Index
from event_gateway.routing.router_positions import RouterPositions
from event_gateway.state.checkpoints import Checkpoint, Checkpoints
from event_gateway.state.condition import refuses_one_command
from event_gateway.state.connection import StateError
from event_gateway.state.event_index import EventIndex
from event_gateway.state.ledger import Ledger
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between looks, and between checkpoints
GRACE = 3.0  # seconds of rereading before it is reported
HOLD = 15.0  # seconds until another process takes the rereading over, unless it is renewed
SETTLE = 1.0  # seconds within which an event that is being routed has its records
PART = 256  # messages that are reread in one step


class Deadlines(Protocol):
    """Says how long deliveries may take."""

    @property
    def max_age(self) -> float:
        """Seconds that any delivery may take at most."""

    def time_left(self, webhook: Webhook, event_at: float, /) -> float:
        """Seconds until the deadline of a delivery whose event the log took at that time."""


class Repair:
    """Writes the checkpoints of the streams that are routed now, ``streams()``, and rereads the log
    where records may be lost.

    ``on_loss`` are called when Redis may have lost records. ``manual``: without any checkpoint,
    rereading waits until somebody decides (:meth:`decide`).
    """

    def __init__(
        self,
        broker: Broker,
        streams: Callable[[], Sequence[str]],
        *,
        positions: RouterPositions,
        peers: Peers,
        checkpoints: Checkpoints,
        ledger: Ledger,
        index: Index,
        decoder: EventDecoder,
        deadlines: Deadlines,
        event_index: EventIndex,
        on_loss: Sequence[Callable[[], None]],
        manual: bool,
    ) -> None:
        self._broker = broker
        self._streams = streams
        self._positions = positions
        self._peers = peers
        self._checkpoints = checkpoints
        self._ledger = ledger
        self._index = index
        self._decoder = decoder
        self._deadlines = deadlines
        self._event_index = event_index
        self._on_loss = tuple(on_loss)
        self._manual = manual
        self._known: dict[str, Checkpoint] = {}
        self._since: dict[str, float] = {}
        self._acknowledged: dict[str, int] = {}
        self._rereading: dict[str, asyncio.Task[None]] = {}
        self._interruptions: dict[str, int] = {}  # by stream, since it was read last

    def set_manual(self, manual: bool) -> None:
        """Whether people say if all is reread, from now on."""
        self._manual = manual

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded: streams that are reread (not for the moment that it
        takes after each start), and streams that wait for a decision."""
        waiting = [name for name in self._pending if self._waits_for_decision(name)]
        latest = time.monotonic() - GRACE
        rereading = [
            name for name in self._pending if name not in waiting and self._since[name] < latest
        ]
        return [
            *(
                Reason(REPAIR, f"{name} is being reread: Redis may have lost records", name)
                for name in rereading
            ),
            *(
                Reason(
                    REPAIR, f"{name} waits for POST /v1/repair: Redis has lost its records", name
                )
                for name in waiting
            ),
        ]

    async def run(self) -> None:
        """Writes checkpoints, and reads streams again if needed. It never returns."""
        try:
            while True:
                try:
                    await self._look()
                except StateError as error:
                    log.debug("no checkpoint", error=str(error))
                except BrokerError as error:
                    log.debug("no checkpoint", error=str(error) or type(error).__name__)
                await beat(LOOK)
        finally:
            await end(self._rereading.values())

    async def write_checkpoints(self) -> None:
        """Writes the present checkpoints. Raises the exceptions in BrokerError and StateError."""
        await self._write(await self._floors())

    def decide(self, *, reread: bool) -> list[str]:
        """Rereads the streams that wait for a decision, or leaves them as they are; returns their
        names."""
        waiting = [name for name in self._pending if self._waits_for_decision(name)]
        for name in waiting:
            self._begin(name, skip=not reread, decided=True)
        return waiting

    @property
    def _pending(self) -> list[str]:
        return [name for name, checkpoint in self._known.items() if checkpoint.reread]

    def _waits_for_decision(self, stream: str) -> bool:
        """Whether rereading a stream waits for a decision."""
        if not self._manual or self._known[stream].seq is not None or stream in self._rereading:
            return False
        return self._acknowledged.get(stream, 1) > 0  # nothing is lost if nothing was routed

    async def _look(self) -> None:
        # The records of acknowledged events are on the server that the last look has seen.
        floors = await self._floors() if self._peers.leads else {}
        await self._write(floors)
        for stream in self._pending:
            if stream not in self._rereading and not self._waits_for_decision(stream):
                self._begin(stream)

    async def _write(self, floors: dict[str, int]) -> None:
        first_look, before = not self._checkpoints.server, self._known
        try:
            changed, self._known = await self._checkpoints.exchange(self._streams(), floors)
        except StateError as error:
            # Without traffic nothing else notices that Redis is away.
            if not refuses_one_command(error):
                self._ledger.mark_unreachable(error)
            raise
        now = time.monotonic()
        self._since = {name: self._since.get(name, now) for name in self._pending}
        lost = [
            name for name, checkpoint in self._known.items()
            if checkpoint.seq is None and name in before and before[name].seq is not None
        ]  # fmt: skip
        if not first_look and (changed or lost):
            log.warning("Redis has restarted or lost its data: it may have lost records, the log "
                        "is reread", streams=self._pending)  # fmt: skip
            for loss_handler in self._on_loss:
                loss_handler()

    async def _floors(self) -> dict[str, int]:
        """The router's ack floors, by stream."""
        floors = {}
        for stream in self._streams():
            try:
                position = await self._positions.read(stream)
            except NotFoundError:
                continue  # the router creates it again
            floors[stream] = position.ack_floor.stream_seq
        self._acknowledged |= floors
        return floors

    def _begin(self, stream: str, *, skip: bool = False, decided: bool = False) -> None:
        task = spawn(self._reread(stream, skip, decided), name=f"reread-{stream}")
        self._rereading[stream] = task
        task.add_done_callback(functools.partial(self._ended, stream))

    def _ended(self, stream: str, _task: asyncio.Task[None]) -> None:
        self._rereading.pop(stream, None)

    async def _reread(self, stream: str, skip: bool, decided: bool) -> None:
        try:
            if not await self._checkpoints.lease(stream, HOLD):
                return
            server = self._checkpoints.server
            info = await self._broker.js.consumer_info(stream, ROUTER)
            # The router itself processes what was not delivered to it yet.
            until = info.delivered.stream_seq if info.delivered else 0
            settled = info.ack_floor.stream_seq if info.ack_floor else 0
            known = self._known.get(stream)
            if known is None:
                return  # it is not routed any more
            at = known.seq
            if at is None and self._manual and until and not decided:
                return
            position = until + 1 if skip else (at or 0) + 1
            since = time.time() - self._deadlines.max_age if at is None and not skip else None
            queued = read = 0
            while position <= until:
                page = await read_page(
                    self._broker, stream, from_seq=position, from_time=since, limit=PART
                )
                since = None
                self._goes_on(stream)
                part = [pulled for pulled in page.messages if pulled.seq <= until]
                read += len(part)
                queued += await self._queue_missing(stream, part, settled)
                position = part[-1].seq + 1 if part else until + 1
                if not await self._checkpoints.lease(stream, HOLD):
                    return
                if not await self._checkpoints.advance(
                    stream, position - 1, server, complete=False
                ):
                    return
            if not await self._checkpoints.advance(stream, until, server, complete=True):
                return
            if stream in self._known:
                self._known[stream] = Checkpoint(until, reread=False)
            if read:
                log.info("the log is reread", stream=stream, events=read, queued=queued)
        except (*StateError, *BrokerError) as error:
            self._interrupted(stream, error)
        finally:
            with contextlib.suppress(*StateError):  # then it expires
                await self._checkpoints.release(stream)

    def _interrupted(self, stream: str, error: Exception) -> None:
        """Logs an interruption, of an outage only the first: it is tried again each second."""
        count = self._interruptions[stream] = self._interruptions.get(stream, 0) + 1
        if count == 1:
            reason = str(error) or type(error).__name__
            log.warning("rereading interrupted, it is tried again", stream=stream, error=reason)

    def _goes_on(self, stream: str) -> None:
        if count := self._interruptions.pop(stream, 0):
            log.info("rereading goes on after interruptions", stream=stream, count=count)

    async def _queue_missing(self, stream: str, part: Sequence[Pulled], settled: int) -> int:
        """Queues the deliveries of these events that have no record; returns how many.

        Up to the sequence ``settled`` all deliveries had records. The router may be about to write
        the first record of later ones.
        """
        pairs: list[tuple[Received, Webhook]] = []
        events = [received for _, received in self._decoder.decode(stream, part).events]
        if stream != LIFECYCLE:
            await self._event_index.add(events)
        for received in events:
            pairs += [
                (received, webhook)
                for webhook in self._index.match_safely(received)
                if self._deadlines.time_left(webhook, received.time) > 0
            ]
        missing = await self._without_record(pairs)
        if missing and missing[-1][0].seq > settled:
            await asyncio.sleep(SETTLE)
            missing = await self._without_record(missing)
        if missing:
            await self._queue(missing)
        return len(missing)

    async def _without_record(
        self, pairs: Sequence[tuple[Received, Webhook]]
    ) -> list[tuple[Received, Webhook]]:
        known = await self._ledger.known([(webhook, received) for received, webhook in pairs])
        return [pair for pair, recorded in zip(pairs, known, strict=True) if not recorded]

    async def _queue(self, missing: Sequence[tuple[Received, Webhook]]) -> None:
        missing = [
            pair for pair in missing if not self._ledger.is_pending(pair[1].id, pair[0].event)
        ]
        left = len(missing)
        written = asyncio.Event()

        def recorded() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                written.set()

        for received, webhook in missing:
            event = received.event
            delivery = Delivery(
                webhook.id, event.id, event.source, received.stream, received.seq,
                self._ledger.token(), event_at=received.time,
            )  # fmt: skip
            self._ledger.submit(delivery, Status.PENDING, wait=0.0, fresh=True, recorded=recorded)
        if left:
            await written.wait()
