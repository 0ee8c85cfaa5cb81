"""Builds the API: the HTTP application, and the protocol of its WebSocket connections."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import FastAPI

from event_gateway import __version__
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.websocket import sessions
from event_gateway.api.live.websocket_protocol import WebSocketProtocol, protocol_for
from event_gateway.api.server import application
from event_gateway.api.server.context import Context
from event_gateway.app.stages.adapters import Adapters
from event_gateway.app.stages.delivery import Deliveries
from event_gateway.app.stages.ingest import Ingest
from event_gateway.app.stages.registration import Registrations
from event_gateway.app.stages.replay import Replaying
from event_gateway.app.stages.request import Requests
from event_gateway.app.stages.routing import Routing
from event_gateway.app.stages.streaming import Streaming
from event_gateway.config.model import Config
from event_gateway.core.access.browser_token import signing_key
from event_gateway.state.tracking import Tracking
from event_gateway.tasks import Supervisor

CLOSE_TIMEOUT = 2.0  # seconds in which subscribers are told to connect elsewhere


@dataclass(frozen=True, slots=True)
class Api:
    """The parts of this stage. ``sockets`` makes the protocol of a WebSocket connection."""

    context: Context
    asgi: FastAPI
    sockets: Callable[..., WebSocketProtocol]

    def start(self, supervisor: Supervisor) -> None:
        """Starts to ping idle WebSocket connections."""
        supervisor.start("connections", self.context.connections.watch)

    async def go_away(self) -> None:
        """Is not ready any more, takes no events, and tells subscribers to connect elsewhere."""
        self.context.draining = True
        await self.context.connections.going_away(CLOSE_TIMEOUT)

    async def finish(self) -> None:
        """Waits for the work that requests have left to be done after their answer."""
        if self.context.ending:
            await asyncio.wait(self.context.ending, timeout=CLOSE_TIMEOUT)


def build_api(
    config: Config,
    admin_key: str,
    *,
    adapters: Adapters,
    ingest: Ingest,
    requests: Requests,
    registrations: Registrations,
    deliveries: Deliveries,
    streaming: Streaming,
    routing: Routing,
    replaying: Replaying,
    supervisor: Supervisor,
) -> Api:
    """Needs all stages: each route works with some of their parts."""
    subscribers = config.server.subscribers
    context = Context(
        version=__version__,
        admin_key=admin_key,
        max_body=config.server.max_body,
        retention=config.ingest.retention,
        allowed_origins=frozenset(config.ingest.allowed_origins),
        broker=adapters.broker,
        peers=adapters.peers,
        registry=adapters.registry,
        registration=registrations.webhooks,
        streams=registrations.streams,
        events=adapters.events,
        intake=ingest.intake,
        rejected=adapters.rejected,
        dispatcher=deliveries.dispatcher,
        ledger=adapters.ledger,
        queues=adapters.queues,
        tracking=Tracking(adapters.redis),
        letters=adapters.letters,
        runs=adapters.runs,
        manual_retry=replaying.manual_retry,
        replays=replaying.replays,
        replayer=replaying.replayer,
        hub=streaming.hub,
        subscriptions=streaming.subscriptions,
        lifecycle=adapters.lifecycle,
        metrics=adapters.metrics,
        supervisor=supervisor,
        secrets=requests.secrets,
        sealed=requests.sealed,
        guard=requests.guard,
        verifier=registrations.verifier,
        transformations=requests.transformations,
        builders=requests.builders,
        enricher=ingest.enricher,
        repair=routing.repair,
        matching=routing.changes.matching,
        expression_errors=ingest.expression_errors,
        catalog=ingest.catalog,
        directory=streaming.directory,
        durables=streaming.durables,
        connections=Connections(subscribers),
        token_key=signing_key(adapters.installation_key),
    )
    return Api(
        context=context,
        asgi=application.build(context),
        sockets=protocol_for(
            sessions(context), limit=subscribers.max_frame, deflate=subscribers.compression
        ),
    )
