"""Repair: when Redis may have lost records, the log is reread, and missing deliveries are queued.

Each second or two, one of the processes writes the router's ack floor to Redis as the checkpoint. A
server that loses records loses the checkpoint with them. The events after the last checkpoint are
then reread, and deliveries without a record are queued.
"""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence

import structlog
from nats.js.errors import NotFoundError

from event_gateway.beats import beat
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.peers import Peers
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import REPAIR
from event_gateway.routing.rereading import Rereading
from event_gateway.routing.router_positions import RouterPositions
from event_gateway.state.checkpoints import Checkpoint, Checkpoints
from event_gateway.state.condition import refuses_one_command
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between looks, and between checkpoints
CALM = 2.0  # the same while no event is acknowledged
GRACE = 3.0  # seconds of rereading before it is reported


class Repair:
    """Writes the checkpoints of the streams that are routed now, ``streams()``, and rereads the log
    where records may be lost.

    ``on_loss`` are called when Redis may have lost records. ``manual``: without any checkpoint,
    rereading waits until an operator decides (:meth:`decide`).
    """

    def __init__(
        self,
        streams: Callable[[], Sequence[str]],
        *,
        positions: RouterPositions,
        peers: Peers,
        checkpoints: Checkpoints,
        ledger: Ledger,
        rereading: Rereading,
        on_loss: Sequence[Callable[[], None]],
        manual: bool,
    ) -> None:
        self._streams = streams
        self._positions = positions
        self._peers = peers
        self._checkpoints = checkpoints
        self._ledger = ledger
        self._rereader = rereading
        self._on_loss = tuple(on_loss)
        self._manual = manual
        self._known: dict[str, Checkpoint] = {}
        self._since: dict[str, float] = {}
        self._acknowledged: dict[str, int] = {}
        self._rereading: dict[str, asyncio.Task[None]] = {}
        self._written: dict[str, int] = {}  # the latest floors

    def set_manual(self, manual: bool) -> None:
        """Whether people say if all is reread, from now on."""
        self._manual = manual

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded: streams that are reread (not for the moment that it
        takes after each start), streams that wait for a decision, and processes that use another
        server of Redis."""
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
            *(
                Reason(
                    REPAIR, f"{place} uses another Redis server, no checkpoint is written", place
                )
                for place in self._peers.agreement.waits_long_for
            ),
        ]

    async def run(self) -> None:
        """Writes checkpoints, and reads streams again if needed. It never returns."""
        self._peers.set_server(self._checkpoints.server)  # from now on it routes events
        try:
            while True:
                is_calm = False
                try:
                    is_calm = await self._look()
                except StateError as error:
                    log.debug("no checkpoint", error=str(error))
                except BrokerError as error:
                    log.debug("no checkpoint", error=str(error) or type(error).__name__)
                await beat(CALM if is_calm else LOOK)
        finally:
            await end(self._rereading.values())

    async def write_checkpoints(self) -> None:
        """Writes the present checkpoints. Raises the exceptions in BrokerError and StateError."""
        await self._write(await self._floors_to_write())

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

    @property
    def _may_write(self) -> bool:
        """Whether the records of all events that are acknowledged are on the server that the last
        look has seen. While a process uses another server they may be there. Once it comes it marks
        the streams, which are read again from a checkpoint before these events; if it ends instead,
        the one that leads marks them."""
        agreement = self._peers.agreement
        return agreement.is_reached() and not agreement.someone_left

    async def _floors_to_write(self) -> dict[str, int]:
        """The router's ack floors, by stream; none while they may not be written."""
        may_write = self._may_write
        floors = await self._floors()  # in any case: they say whether anything was routed
        return floors if may_write and self._may_write else {}

    async def _look(self) -> bool:
        """Writes the checkpoints, and begins to read streams again. Returns whether the next look
        can wait: this process writes them, and they are those of the look before."""
        agreement = self._peers.agreement
        floors: dict[str, int] = {}
        if agreement.is_reached() and agreement.someone_left and self._peers.leads:
            await self._write(floors, mark=True)
            agreement.someone_left = False
        else:
            floors = await self._floors_to_write() if self._peers.leads else floors
            await self._write(floors)
        before, self._written = self._written, floors
        pending = self._pending
        for stream in pending:
            if stream not in self._rereading and not self._waits_for_decision(stream):
                self._begin(stream)
        return bool(floors) and floors == before and not pending

    async def _write(self, floors: dict[str, int], *, mark: bool = False) -> None:
        first_look, before = not self._checkpoints.server, self._known
        try:
            changed, self._known = await self._checkpoints.exchange(
                self._streams(), floors, mark=mark
            )
        except StateError as error:
            # Without traffic nothing else notices that Redis is away.
            if not refuses_one_command(error):
                self._ledger.mark_unreachable(error)
            raise
        self._peers.set_server(self._checkpoints.server)
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
        until = await self._rereader.reread(
            stream, lambda: self._known.get(stream), skip=skip,
            decide=self._manual and not decided,
        )  # fmt: skip
        if until is not None and stream in self._known:
            self._known[stream] = Checkpoint(until, mark=0)
