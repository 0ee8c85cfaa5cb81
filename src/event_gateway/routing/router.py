"""The router: takes events from the log, finds their webhooks, and acknowledges what is settled.

An event is acknowledged only when the ledger has confirmed a state for each of its deliveries, so
a crash at any instruction leaves either an unacknowledged event or a queued delivery.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from event_gateway.broker.connection import Broker, BrokerError
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.provision import ROUTER
from event_gateway.broker.pull import ConsumerGone, Pulled, Puller
from event_gateway.broker.rejected import RejectedInput, is_retry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.metrics import Metrics
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.routing.faults import Fault, FaultLog
from event_gateway.routing.index import Index, OnError
from event_gateway.routing.log_consumer import LogConsumers
from event_gateway.routing.routed_before import Matched, RoutedBefore
from event_gateway.routing.routing_spans import record_routing
from event_gateway.routing.unsettled import NOT_TAKEN, Unsettled
from event_gateway.state.connection import StateError
from event_gateway.state.ledger import Ledger
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

BATCH = 256
LOOK = 0.5  # seconds between two looks whether there is room, where no request is open
PER_TURN = 32  # deliveries started in one turn of the event loop
STOP_TIMEOUT = 2.0  # seconds for the loop to end; it may be waiting for Redis
# An event whose deliveries cannot be started because of a fault in the gateway is taken again when
# JetStream redelivers it, every ACK_WAIT seconds; at this delivery it is set aside.
MAX_DELIVERIES = 5

Dispatch = Callable[[Received, Webhook, Callable[[], None]], None]


class Router:
    """Routes one stream: requests as many events as there is room for, decodes and enriches
    them, finds their webhooks, and hands the deliveries to ``dispatch``.

    ``on_error`` gets the expressions that have no value for an event.
    """

    def __init__(
        self,
        broker: Broker,
        stream: str = EVENTS,
        *,
        consumers: LogConsumers,
        decoder: EventDecoder,
        rejected: RejectedInput,
        ledger: Ledger,
        index: Index,
        dispatch: Dispatch,
        metrics: Metrics,
        on_error: OnError,
        tracing: Tracing,
        supervisor: Supervisor,
    ) -> None:
        self._tracing = tracing
        self._broker = broker
        self._stream = stream
        self._consumers = consumers
        self._decoder = decoder
        self._rejected = rejected
        self._ledger = ledger
        self._index = index
        self._dispatch = dispatch
        self._metrics = metrics
        self._on_error = on_error
        self._supervisor = supervisor
        self._puller = Puller(broker, stream, ROUTER)
        self._unsettled = Unsettled(broker, lambda: self._puller.interrupt())
        self._stopping = asyncio.Event()
        self._routed_before = RoutedBefore(stream, ledger, metrics)
        self._fault_log = FaultLog(stream)
        self._tasks: list[asyncio.Task[None]] = []
        self._consumer_missing = False
        self._maybe_overtaken = 0  # up to this sequence, events may have been routed ahead
        self._batch: list[Pulled] = []  # what is being routed
        self._was_reset = False  # the stream, while that batch was routed

    @property
    def unsettled(self) -> int:
        """Events taken from the log and not yet acknowledged."""
        return len(self._unsettled)

    async def wait_for_room(self) -> None:
        """Waits until Redis can be reached and this process may hold more events."""
        await self._ledger.wait_reachable()
        while self._room() <= 0 and not self._stopping.is_set():
            await asyncio.sleep(0.05)

    async def route_ahead(self, batch: list[Pulled]) -> None:
        """Routes events that the router has not come to yet, and does not acknowledge them: it does
        that when it comes to them, and skips the deliveries that are recorded."""
        if self._stopping.is_set():
            return
        # Another process may have routed them ahead, until it saw that this one does so now.
        await self._ledger.refresh_high(self._stream)
        batch = [pulled for pulled in batch if pulled.seq not in self._unsettled]
        for pulled in batch:
            pulled.reply = NOT_TAKEN
        decoded = await self._decoder.read(self._stream, batch)
        # What is no event, or cannot be matched, the router sets aside when it comes to it.
        await self._dispatch_all([
            (pulled, received, self._index.match_safely(received))
            for pulled, received in decoded.events
        ])  # fmt: skip

    def _room(self) -> int:
        """How many more events this process may take."""
        return self._unsettled.room(self._puller.arrived_bytes)

    def start(self) -> None:
        """Starts to take events, also again after :meth:`stop` and :meth:`close`."""
        self._stopping.clear()
        self._tasks = [
            self._supervisor.start("router", self._run, about=self._stream),
            self._supervisor.start(
                "router-keep-alive", self._unsettled.keep_alive, about=self._stream
            ),
        ]

    async def stop(self) -> None:
        """Takes no more events; those taken may still settle until the broker is closed."""
        self._stopping.set()
        self._supervisor.let_return(self._tasks[0])
        self._puller.interrupt()
        await asyncio.wait(self._tasks[:1], timeout=STOP_TIMEOUT)

    async def close(self) -> None:
        """Takes no more events, and ends the keep-alive of those that are not settled: JetStream
        redelivers them."""
        await end(self._tasks)

    def log_reset(self) -> None:
        """The stream has other messages now: those in progress are not acknowledged, as the
        acknowledgements would be taken for messages of the same sequences."""
        self._was_reset = True
        self._maybe_overtaken = 0
        for pulled in self._batch:
            pulled.reply = NOT_TAKEN
        self._unsettled.drop_all()

    async def _run(self) -> None:
        puller = self._puller = Puller(self._broker, self._stream, ROUTER)
        await puller.start()
        try:
            await self._take(puller)
        finally:
            with contextlib.suppress(*BrokerError):
                await puller.stop()

    async def _take(self, puller: Puller) -> None:
        while not self._stopping.is_set():
            try:
                await self._ledger.wait_reachable()
                room = self._room()
                await puller.request(room)
                self._unsettled.wait_for_room(room <= 0)
                if room >= BATCH:
                    puller.interrupt_if_lost()
                else:
                    puller.interrupt_at_beat(LOOK)
                if self._stopping.is_set():
                    return  # `take` does not see what has interrupted it before
                batch = await puller.take(BATCH)
                if batch:
                    self._consumer_missing, self._was_reset = False, False
                    self._batch = batch
                    await self._learn_overtaken(batch)
                    await self._route(batch)
                    if self._was_reset:
                        self.log_reset()
            except ConsumerGone:
                if not self._consumer_missing:
                    self._consumer_missing = True
                    log.warning("the router's consumer was deleted, creating it again",
                                stream=self._stream)  # fmt: skip
                await self._create_consumer()
            except (*BrokerError, *StateError, LogUnavailable) as error:
                # Events that are not settled are not acknowledged: JetStream redelivers them.
                log.warning("routing interrupted", error=str(error) or type(error).__name__)
                await asyncio.sleep(0.25)

    async def _learn_overtaken(self, batch: list[Pulled]) -> None:
        """Behind a burst, another process may have routed events of the batch ahead: with the
        highest sequence that is recorded, this process knows which ones to look up."""
        first, last = batch[0], batch[-1]
        if last.pending >= BATCH:
            self._maybe_overtaken = max(self._maybe_overtaken, last.seq + last.pending)
        if first.seq <= self._maybe_overtaken:
            await self._ledger.refresh_high(self._stream)

    async def _create_consumer(self) -> None:
        try:
            if await self._consumers.create(self._stream):
                return
        except (*BrokerError, *StateError) as error:
            log.debug("the consumer cannot be created yet", error=str(error))
        await asyncio.sleep(0.25)

    async def _route(self, batch: list[Pulled]) -> None:
        decoded = self._decoder.decode(self._stream, self._unsettled.new(batch))
        taken = [received for _, received in decoded.events]
        self._index.note_unwanted(taken)
        await self._decoder.enrich(self._stream, taken)
        for pulled, error in decoded.rejected:
            await self._reject(pulled, error)
        if self._stream != LIFECYCLE:  # the gateway publishes those itself
            origins: dict[str, int] = {}  # a Counter costs more than to count the usual few
            types: dict[str, int] = {}
            for _, received in decoded.events:
                origin, event_type = received.origin, received.event.type
                origins[origin] = origins.get(origin, 0) + 1
                types[event_type] = types.get(event_type, 0) + 1
            for origin, count in origins.items():
                self._metrics.received(origin, count)
            self._metrics.routed(types)
        matched: list[Matched] = []
        for pulled, received in decoded.events:
            try:
                matched.append((pulled, received, self._index.match(received, self._on_error)))
            except Exception as error:  # one event that a filter chokes on must not stop the rest
                log.error("event cannot be matched", stream=self._stream, seq=received.seq,
                          fault=error)  # fmt: skip
                await self._reject(pulled, InvalidEvent("failed", f"matching failed: {error!r}"))
        # Their webhooks were registered meanwhile.
        wanted = [received for _, received, webhooks in matched if webhooks and received.unwanted]
        if wanted:
            for received in wanted:
                received.unwanted = False
            await self._decoder.enrich(self._stream, wanted)
        if matched:
            await self._dispatch_all(matched)

    async def _dispatch_all(self, matched: list[Matched]) -> None:
        """Begins the deliveries that are not recorded yet; acknowledges events without any."""
        recorded = await self._routed_before.recorded(matched)
        tracer = self._tracing.tracer
        start = 0.0 if tracer is None else time.time()
        dispatched = 0
        faults: list[Fault] = []
        for pulled, received, webhooks in matched:
            new = webhooks
            # Input that was rejected is not delivered yet to all webhooks when it is retried.
            if received.duplicate_of is not None and not is_retry(pulled):
                new = self._routed_before.without_duplicate(
                    received, received.duplicate_of, webhooks
                )
            if recorded:
                new = [webhook for webhook in new if (webhook.id, received.seq) not in recorded]
            if not new:
                if pulled.reply:
                    self._broker.post(pulled.reply, b"+ACK")
                    if tracer is not None and not webhooks:
                        record_routing(tracer, received, 0, start)
                continue
            in_work = self._unsettled.get(received.seq)
            if in_work is not None:  # it was routed ahead, or is, while this batch was decoded
                in_work.reply = pulled.reply or in_work.reply
                continue
            settlement = self._unsettled.add(pulled, received.seq, len(new))
            failed: dict[str, Exception] = {}
            try:
                for webhook in new:
                    try:
                        self._dispatch(received, webhook, settlement.recorded)
                    except Exception as error:  # a fault of the gateway: the others go on
                        failed[webhook.id] = error
                    dispatched += 1
                    if dispatched % PER_TURN == 0:
                        await asyncio.sleep(0)
            except BaseException:
                # Not kept alive: NATS redelivers it, and what is recorded by then is skipped.
                self._unsettled.forget(settlement)
                raise
            if failed:
                self._unsettled.forget(settlement)  # likewise
                faults.append(Fault(pulled, failed, all_failed=len(failed) == len(new)))
            elif tracer is not None:
                record_routing(tracer, received, len(new), start)
        if faults:
            await self._handle_faults(faults)
        if not self._unsettled:
            self._broker.outbox.nothing_follows()

    async def _handle_faults(self, faults: list[Fault]) -> None:
        """Logs the deliveries of a batch that could not be started. JetStream redelivers their
        events; an event that has failed too often is set aside once its other deliveries are
        recorded."""
        self._fault_log.note(faults)
        for fault in faults:
            # At the next delivery of the event, what could be started now is found in the ledger.
            if fault.all_failed and fault.pulled.delivered >= MAX_DELIVERIES:
                await self._reject(fault.pulled, InvalidEvent("failed", fault.detail))

    async def _reject(self, pulled: Pulled, error: InvalidEvent) -> None:
        await self._rejected.store(self._stream, pulled, error)
        self._metrics.rejected(error.reason)
        self._broker.post(pulled.reply, b"+ACK")
        log.info(
            "input rejected",
            stream=self._stream,
            subject=pulled.subject,
            seq=pulled.seq,
            reason=error.reason,
        )
