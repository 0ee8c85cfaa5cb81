"""Builds the delivery stage: lanes, attempts and their outcomes, retries, ordered webhooks."""

import asyncio
from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.ingest import Ingest
from event_gateway.app.stages.registration import Registrations
from event_gateway.app.stages.request import Requests
from event_gateway.config.model import Config
from event_gateway.core.webhook.retry_policy import longest_wait
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.delivery.due_loop import DueLoop
from event_gateway.delivery.expiry import Upkeep
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.delivery.outcomes import Outcomes
from event_gateway.routing.ordered_source import OrderedSource
from event_gateway.state.order import Order
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The parts of this stage."""

    outcomes: Outcomes
    dispatcher: Dispatcher
    due: DueLoop
    ordered: OrderedDeliveries
    upkeep: Upkeep

    def configure(self, config: Config) -> None:
        """Applies how long a delivery may wait."""
        self.outcomes.set_max_age(longest_wait(config.ingest.retention))

    def start(self, tasks: TaskGroup) -> None:
        """Starts to take due deliveries and ordered ones, and to sweep the expired ones."""
        self.due.start()
        self.ordered.start()
        tasks.start("upkeep", self.upkeep.run)

    async def stop_taking(self) -> None:
        """Takes no more due deliveries."""
        await self.due.stop()

    async def finish(self, timeout: float) -> None:
        """Ends the attempts: those that take longer than ``timeout`` seconds stay in progress
        under their leases."""
        await asyncio.gather(self.ordered.stop(timeout), self.dispatcher.stop(timeout))


def build_delivery(
    config: Config,
    adapters: Adapters,
    ingest: Ingest,
    requests: Requests,
    registrations: Registrations,
    max_attempts: int,
    supervisor: Supervisor,
) -> Deliveries:
    """Needs the ingest stage for events that are read again, the requests stage for the attempts,
    and the registrations, where webhooks are disabled. At most ``max_attempts`` are in flight."""
    ledger, queues = adapters.ledger, adapters.queues
    dead_letters = DeadLetters(adapters.letters)
    outcomes = Outcomes(
        ledger, dead_letters, adapters.lifecycle, longest_wait(config.ingest.retention)
    )
    dispatcher = Dispatcher(
        ledger, queues, requests.receivers, requests.builders, outcomes, dead_letters,
        adapters.metrics, max_attempts,
    )  # fmt: skip
    due = DueLoop(ledger, queues, dispatcher, ingest.stored_events.load, supervisor)
    outcomes.wake = due.wake
    outcomes.keep = adapters.reader.keep
    dispatcher.standing.disable = registrations.webhooks.disable

    source = OrderedSource(adapters.broker, ingest.decoder, ingest.note_expression_error)
    order = Order(adapters.redis, adapters.peers.process)
    return Deliveries(
        outcomes=outcomes,
        dispatcher=dispatcher,
        due=due,
        ordered=OrderedDeliveries(
            order, ledger, dispatcher, adapters.events, source.read, supervisor
        ),
        upkeep=Upkeep(queues, outcomes, dispatcher, due, adapters.peers),
    )
