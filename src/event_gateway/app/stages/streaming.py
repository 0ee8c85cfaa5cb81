"""Builds the streaming stage: named streams are read and sent to live subscribers."""

from dataclasses import dataclass

from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.ingest import Ingest
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.state.durables import DurablePositions
from event_gateway.state.subscriptions import Subscriptions
from event_gateway.streaming.durable_names import DurableNames
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.live_subscriptions import LiveSubscriptions
from event_gateway.streaming.subscription_directory import SubscriptionDirectory
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """The parts of this stage."""

    hub: Hub
    directory: SubscriptionDirectory
    durables: DurablePositions
    stored: Subscriptions
    subscriptions: LiveSubscriptions

    async def start(self, tasks: TaskGroup) -> None:
        """Starts to answer for the subscribers of this process, and to keep what Redis knows of
        them. Raises the exceptions in BrokerError."""
        await self.directory.start()
        tasks.start("subscriptions", lambda: self.stored.run(self.hub.subscription_ids))
        tasks.start("durable-positions", self.durables.run)
        tasks.start("subscriber-positions", self.subscriptions.tell_positions)

    async def stop(self) -> None:
        """Ends all feeds."""
        await self.hub.stop()


def build_streaming(
    adapters: Adapters, ingest: Ingest, tracing: Tracing, supervisor: Supervisor
) -> Streaming:
    """Needs the ingest stage, through which each message goes before it is sent."""
    hub = Hub(
        adapters.broker, ingest.live_decoder, adapters.metrics.streams,
        tracing=tracing, supervisor=supervisor,
    )  # fmt: skip
    directory = SubscriptionDirectory(adapters.broker, adapters.peers, hub)
    durables = DurablePositions(adapters.redis)
    stored = Subscriptions(adapters.redis)
    return Streaming(
        hub=hub,
        directory=directory,
        durables=durables,
        stored=stored,
        subscriptions=LiveSubscriptions(
            hub=hub,
            registry=adapters.registry,
            events=adapters.events,
            names=DurableNames(adapters.registry, durables, directory),
            stored=stored,
            lifecycle=adapters.lifecycle,
        ),
    )
