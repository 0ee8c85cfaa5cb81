"""Builds the delivery stage: lanes, attempts and their outcomes, retries, ordered webhooks."""

import asyncio
from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.ingest import Ingest
from event_gateway.app.stages.registration import Registrations
from event_gateway.app.stages.request import Requests
from event_gateway.broker.positions import PositionCopies
from event_gateway.config.model import Config
from event_gateway.core.webhook.retry_policy import longest_wait
from event_gateway.delivery.dead_letters import DeadLetterWriter
from event_gateway.delivery.deadlines import Deadlines
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.due_loop import DueLoop
from event_gateway.delivery.expiry import ExpirySweep
from event_gateway.delivery.handover import Handover
from event_gateway.delivery.lane_sync import LaneSync
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.delivery.outcomes import Outcomes
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.routing.ordered_source import OrderedSource
from event_gateway.state.order import Order
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """The parts of this stage."""

    deadlines: Deadlines
    dispatcher: Dispatcher
    due_loop: DueLoop
    ordered: OrderedDeliveries
    lane_sync: LaneSync
    expiry: ExpirySweep

    def configure(self, config: Config) -> None:
        """Applies how long a delivery may wait."""
        self.deadlines.set_max_age(longest_wait(config.ingest.retention))

    def start(self, tasks: TaskGroup) -> None:
        """Starts to take due deliveries and ordered ones, and to sweep the expired ones."""
        self.due_loop.start()
        self.ordered.start()
        tasks.start("lane-sync", self.lane_sync.run)
        tasks.start("expiry", self.expiry.run)

    async def stop_taking(self) -> None:
        """Takes no more due deliveries."""
        await self.due_loop.stop()

    async def finish(self, timeout: float) -> None:
        """Ends the attempts: those that take longer than ``timeout`` seconds stay in progress
        under their leases."""
        await asyncio.gather(self.ordered.stop(timeout), self.dispatcher.stop(timeout))


def build_delivery(
    config: Config,
    adapters: Adapters,
    *,
    ingest: Ingest,
    requests: Requests,
    registrations: Registrations,
    max_attempts: int,
    tracing: Tracing,
    supervisor: Supervisor,
) -> Deliveries:
    """Needs the ingest stage for events that are read again, the requests stage for the attempts,
    and the registrations, where webhooks are disabled. At most ``max_attempts`` are in flight."""
    ledger, queues = adapters.ledger, adapters.queues
    dead_letters = DeadLetterWriter(adapters.dead_letters)
    signal = adapters.due_signal
    deadlines = Deadlines(longest_wait(config.ingest.retention))
    outcomes = Outcomes(
        ledger, dead_letters, adapters.lifecycle, signal,
        deadlines=deadlines, tracing=tracing, cache_event=adapters.reader.cache,
    )  # fmt: skip
    dispatcher = Dispatcher(
        ledger, queues, requests.receivers, requests.builders,
        outcomes=outcomes, deadlines=deadlines, dead_letters=dead_letters, signal=signal,
        lane_reports=adapters.lane_reports, metrics=adapters.metrics, tallies=adapters.tallies,
        tracing=tracing, disable=registrations.amendments.disable, max_in_flight=max_attempts,
    )  # fmt: skip
    handover = Handover(dispatcher, ingest.stored_events.load)
    source = OrderedSource(adapters.broker, ingest.decoder, ingest.note_expression_error)
    order = Order(adapters.redis, adapters.peers.process)
    return Deliveries(
        deadlines=deadlines,
        dispatcher=dispatcher,
        due_loop=DueLoop(
            ledger,
            queues,
            dispatcher,
            signal,
            handover=handover,
            may_exist=adapters.registry.may_have_webhook,
            supervisor=supervisor,
        ),
        ordered=OrderedDeliveries(
            order,
            ledger,
            dispatcher,
            adapters.events,
            copies=PositionCopies(adapters.broker),
            logs=adapters.registry.logs,
            source=source.read,
            supervisor=supervisor,
        ),
        lane_sync=LaneSync(
            ledger=ledger,
            queues=queues,
            dispatcher=dispatcher,
            peers=adapters.peers,
            on_round=adapters.metrics.lanes_synced,
        ),
        expiry=ExpirySweep(queues, deadlines, dispatcher.lanes, handover),
    )
