"""Builds the lookup stage: events are found in the log, with what became of them."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.core.streams.definition import EVENTS
from event_gateway.lookup.backfill import Backfill
from event_gateway.lookup.deliveries import DeliveryList
from event_gateway.lookup.finder import Finder
from event_gateway.lookup.listing import EventList
from event_gateway.lookup.log_state import LogStates
from event_gateway.lookup.relations import Relations
from event_gateway.lookup.webhook_account import WebhookAccount
from event_gateway.routing.explain import explain
from event_gateway.state.order import Order
from event_gateway.state.queue_places import QueuePlaces
from event_gateway.state.tracking import Tracking
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The parts of this stage."""

    finder: Finder
    listing: EventList
    deliveries: DeliveryList
    states: LogStates
    relations: Relations
    account: WebhookAccount
    backfill: Backfill

    def start(self, tasks: TaskGroup) -> None:
        """Starts to extend the index of events to the whole log."""
        tasks.start("event-index", self.backfill.run)


def build_lookup(adapters: Adapters) -> Lookup:
    """Needs the log, the index of events and the ledger."""
    broker, log, index = adapters.broker, adapters.log_reader, adapters.event_index

    def streams() -> tuple[str, ...]:
        return (EVENTS, *(stream.name for stream in adapters.events.external))

    states = LogStates(broker, index, streams)
    return Lookup(
        finder=Finder(broker, log, index, states),
        listing=EventList(broker, log, index, states),
        deliveries=DeliveryList(Tracking(adapters.redis), log),
        states=states,
        relations=Relations(log, index),
        account=WebhookAccount(
            broker,
            ledger=adapters.ledger,
            places=QueuePlaces(adapters.redis),
            order=Order(adapters.redis, adapters.peers.process),
            explain=explain,
            logs=adapters.registry.logs,
        ),
        backfill=Backfill(
            broker, adapters.streams, index, streams=streams, leads=lambda: adapters.peers.leads
        ),
    )
