"""Builds the routing stage: events of the log are matched to webhooks, once more after a loss."""

import asyncio
from dataclasses import dataclass

from event_gateway.app.registry_changes import RegistryChanges
from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.delivery import Deliveries
from event_gateway.app.stages.ingest import Ingest
from event_gateway.app.stages.registration import Registrations
from event_gateway.app.stages.streaming import Streaming
from event_gateway.config.model import Config
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.routing.index import Index
from event_gateway.routing.lag import RouterLag
from event_gateway.routing.lifecycle_routing import LifecycleRouting
from event_gateway.routing.log_consumer import LogConsumers
from event_gateway.routing.lost_log import LostLog
from event_gateway.routing.overtaking import Overtaking
from event_gateway.routing.repair import Repair
from event_gateway.routing.rereading import Rereading
from event_gateway.routing.router import Router
from event_gateway.routing.router_positions import RouterPositions
from event_gateway.state.checkpoints import Checkpoints
from event_gateway.state.webhooks import WebhookCopies
from event_gateway.tasks import Supervisor, TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """The parts of this stage. ``changes`` applies what changes in the registry."""

    index: Index
    copies: WebhookCopies
    changes: RegistryChanges
    routers: tuple[Router, ...]
    lifecycle: LifecycleRouting
    repair: Repair
    lost_log: LostLog
    checkpoints: Checkpoints
    lag: RouterLag
    overtaking: Overtaking

    def configure(self, config: Config) -> None:
        """Applies whether people decide about rereading the log."""
        self.repair.set_manual(config.repair == "manual")

    def start(self, tasks: TaskGroup) -> None:
        """Starts to route events, and to look whether Redis has lost records."""
        for router in self.routers:
            router.start()
        tasks.start("lifecycle-routing", self.lifecycle.run)
        tasks.start("webhook-copies", self.copies.run)
        tasks.start("repair", self.repair.run)
        tasks.start("router-lag", self.lag.run)
        tasks.start("overtaking", self.overtaking.run)

    async def stop_taking(self) -> None:
        """Takes no more events; those taken may still settle."""
        stopping = (router.stop() for router in self.routers)
        await asyncio.gather(self.lifecycle.stop_taking(), *stopping)

    async def stop(self) -> None:
        """Takes no more events, and ends the keep-alive of those that are not settled: NATS
        redelivers them."""
        for router in self.routers:
            await router.close()
        await self.lifecycle.close()


def build_routing(
    config: Config,
    adapters: Adapters,
    *,
    ingest: Ingest,
    registrations: Registrations,
    deliveries: Deliveries,
    streaming: Streaming,
    tracing: Tracing,
    supervisor: Supervisor,
) -> Routing:
    """Needs the delivery stage, which gets what matches; and, as the registry's changes are applied
    from here, the streaming stage, and the registrations, where webhooks are disabled."""
    index = Index()
    copies = WebhookCopies(adapters.redis)
    streams = (EVENTS, *config.ingest.streams)
    checkpoints = Checkpoints(adapters.redis, adapters.peers.process)
    registry = adapters.registry
    consumers = LogConsumers(adapters.broker, registry.logs, checkpoints, registry.webhooks)
    routers = {
        stream: Router(
            adapters.broker, stream, consumers=consumers, decoder=ingest.capture,
            rejected=adapters.rejected, ledger=adapters.ledger, index=index,
            dispatch=deliveries.dispatcher.dispatch, metrics=adapters.metrics,
            on_error=ingest.note_expression_error, tracing=tracing, supervisor=supervisor,
        )
        for stream in (*streams, LIFECYCLE)
    }  # fmt: skip
    lifecycle = LifecycleRouting(routers[LIFECYCLE], consumers)
    changes = RegistryChanges(
        registry=registry, index=index, dispatcher=deliveries.dispatcher,
        ordered=deliveries.ordered, copies=copies, hub=streaming.hub,
        disable=registrations.amendments.disable, routers=routers, lifecycle=lifecycle,
        reader=adapters.reader, broker=adapters.broker, ledger=adapters.ledger,
    )  # fmt: skip

    def routed() -> tuple[str, ...]:
        return (*streams, *lifecycle.streams)

    positions = RouterPositions(adapters.broker, adapters.streams)
    rereading = Rereading(
        adapters.broker, checkpoints, adapters.ledger, index, decoder=ingest.decoder,
        deadlines=deliveries.deadlines, event_index=adapters.event_index,
    )  # fmt: skip
    repair = Repair(
        routed, positions=positions, peers=adapters.peers, checkpoints=checkpoints,
        ledger=adapters.ledger, rereading=rereading,
        on_loss=(changes.copy_again, deliveries.lane_sync.compare_paused),
        manual=config.repair == "manual",
    )  # fmt: skip
    lag = RouterLag(adapters.broker, routed, positions, adapters.metrics)
    overtaking = Overtaking(adapters.broker, routers[EVENTS], lag, adapters.peers)
    return Routing(
        index=index,
        copies=copies,
        changes=changes,
        routers=tuple(routers[stream] for stream in streams),
        lifecycle=lifecycle,
        repair=repair,
        lost_log=LostLog(registry),
        checkpoints=checkpoints,
        lag=lag,
        overtaking=overtaking,
    )
