"""All stages before the API, built in their order."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from event_gateway.app.stages.adapters import Adapters, Storage, open_adapters
from event_gateway.app.stages.alerts import Alerts, build_alerts
from event_gateway.app.stages.compliance import Compliance, build_compliance
from event_gateway.app.stages.delivery import Deliveries, build_delivery
from event_gateway.app.stages.history import History, build_history
from event_gateway.app.stages.ingest import Ingest, build_ingest
from event_gateway.app.stages.lookup import Lookup, build_lookup
from event_gateway.app.stages.observability import Observability, build_observability
from event_gateway.app.stages.registration import Registrations, build_registration
from event_gateway.app.stages.replay import Replaying, build_replay
from event_gateway.app.stages.request import Requests, build_requests
from event_gateway.app.stages.routing import Routing, build_routing
from event_gateway.app.stages.streaming import Streaming, build_streaming
from event_gateway.app.telemetry import Telemetry
from event_gateway.config.model import Config
from event_gateway.core.text.urls import places_of
from event_gateway.observability.metrics import Metrics
from event_gateway.secrets.private_files import PrivateFiles
from event_gateway.state.connection import servers_behind
from event_gateway.tasks import Supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """What a process is given besides its configuration.

    At most ``max_attempts`` are in flight at a time, and clients of the API have at most
    ``max_connections``. ``sealing_key``: the file with the key of the sealed store, used if there
    is no secret of that name. ``private``: files that no webhook may name. ``data_dir``: where
    embedded servers keep their data, None if there are none; ``store_limit``: bytes that the
    streams of an embedded NATS may use.
    """

    nats_url: str
    redis_url: str
    environ: Mapping[str, str]
    sealing_key: Path | None
    private: PrivateFiles
    max_attempts: int
    max_connections: int
    data_dir: Path | None = None
    store_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages before the API, and the supervisor of their tasks."""

    adapters: Adapters
    observability: Observability
    ingest: Ingest
    requests: Requests
    registrations: Registrations
    deliveries: Deliveries
    streaming: Streaming
    routing: Routing
    replaying: Replaying
    lookup: Lookup
    telemetry: Telemetry
    alerts: Alerts
    history: History
    compliance: Compliance
    supervisor: Supervisor


async def build_stages(
    config: Config,
    settings: ProcessSettings,
    *,
    supervisor: Supervisor,
    metrics: Metrics,
    closing: AsyncExitStack,
) -> Stages:
    """Builds each stage from those before it. Only the adapters work: they are connected.

    ``closing`` gets the connections to be closed. Raises ProvisionError, ServerRefused, or what
    BrokerError and StateError name where a server cannot be reached.
    """
    adapters = await open_adapters(
        config, settings.nats_url, settings.redis_url,
        storage=Storage(settings.data_dir, settings.store_limit),
        metrics=metrics, supervisor=supervisor, closing=closing,
    )  # fmt: skip
    observability = build_observability(adapters, supervisor)
    telemetry = Telemetry(config, metrics)
    ingest = build_ingest(config, adapters, telemetry.tracing)
    requests = build_requests(
        config,
        adapters,
        settings.environ,
        sealing_key=settings.sealing_key,
        private=settings.private,
        own_servers=[
            *places_of(settings.nats_url, 4222),
            *places_of(settings.redis_url, 6379),
            *servers_behind(adapters.redis),
        ],
        max_attempts=settings.max_attempts,
    )
    registrations = build_registration(config, adapters, requests)
    deliveries = build_delivery(
        config,
        adapters,
        ingest=ingest,
        requests=requests,
        registrations=registrations,
        max_attempts=settings.max_attempts,
        tracing=telemetry.tracing,
        supervisor=supervisor,
    )
    streaming = build_streaming(adapters, ingest, telemetry.tracing, supervisor)
    routing = build_routing(
        config,
        adapters,
        ingest=ingest,
        registrations=registrations,
        deliveries=deliveries,
        streaming=streaming,
        tracing=telemetry.tracing,
        supervisor=supervisor,
    )
    observability.health.add(lambda: routing.repair.reasons)
    observability.health.add(lambda: routing.lost_log.reasons)
    observability.health.add(lambda: routing.lag.reasons)
    compliance = build_compliance(
        config, adapters, observability=observability, requests=requests, supervisor=supervisor
    )
    observability.health.add_wide(lambda: compliance.chains.reasons)
    observability.health.add_figures("routing", lambda: _routing_figures(routing))
    return Stages(
        adapters=adapters,
        observability=observability,
        ingest=ingest,
        requests=requests,
        registrations=registrations,
        deliveries=deliveries,
        streaming=streaming,
        routing=routing,
        replaying=build_replay(config, adapters, ingest),
        lookup=build_lookup(adapters),
        telemetry=telemetry,
        alerts=build_alerts(
            config, adapters, observability=observability, deliveries=deliveries, routing=routing
        ),
        history=build_history(adapters, routing, streaming),
        compliance=compliance,
        supervisor=supervisor,
    )


def _routing_figures(routing: Routing) -> dict[str, float]:
    events, seconds = routing.lag.behind
    return {"events_not_routed": events, "oldest_seconds": round(seconds, 3)}
