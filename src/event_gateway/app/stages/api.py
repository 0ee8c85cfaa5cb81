"""Builds the API: the HTTP application, and the protocol of its WebSocket connections."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from event_gateway import __version__
from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.api.http.cors import Cors
from event_gateway.api.http.limits import ConnectionLimits
from event_gateway.api.http.open_connections import OpenConnections
from event_gateway.api.http.uvicorn_protocol import connection_for
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.websocket import sessions
from event_gateway.api.live.websocket_protocol import WebSocketProtocol, protocol_for
from event_gateway.api.routes.admin import admin_application
from event_gateway.api.routes.events import EventsEndpoint
from event_gateway.api.routes.signing_keys import SigningKeysEndpoint
from event_gateway.api.routes.source_endpoint import SourceEndpoint
from event_gateway.api.server.application import Application, build_application
from event_gateway.api.server.state import ApiState
from event_gateway.app.stages.access import Access, build_access
from event_gateway.app.stages.routes import health_parts, route_groups
from event_gateway.app.stages.sources import build_sources
from event_gateway.app.stages.stages import Stages
from event_gateway.config.model import Config
from event_gateway.core.access.certificate_rule import CertificateRule
from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.access.forwarded import AddressHeader
from event_gateway.core.access.trusted_proxies import TrustedProxies
from event_gateway.observability.metrics import HttpMetrics
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.state.idempotent_answers import IdempotentAnswers
from event_gateway.streaming.live_subscriptions import LiveSubscriptions
from event_gateway.tasks import TaskGroup

if TYPE_CHECKING:
    from event_gateway.api.http.server_tls import ServerTls

MAX_ADMIN_CONNECTIONS = 64  # to the admin port of a process, at most half of them at work
CLOSE_TIMEOUT = 2.0  # seconds for the notice to subscribers to connect elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminPort:
    """What answers on the admin port. ``http`` makes the protocol of a connection."""

    asgi: Starlette
    open_connections: OpenConnections
    http: Callable[..., asyncio.Protocol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The parts of this stage. ``http`` makes the protocol of a connection, ``sockets`` that of a
    WebSocket connection."""

    access: Access
    state: ApiState
    connections: Connections
    subscriptions: LiveSubscriptions
    application: Application
    max_connections: int
    open_connections: OpenConnections
    proxies: TrustedProxies
    certificates: ClientCertificates
    cors: Cors
    tls: "ServerTls | None"
    http: Callable[..., asyncio.Protocol]
    sockets: Callable[..., WebSocketProtocol]
    admin: AdminPort | None

    def start(self, tasks: TaskGroup) -> None:
        """Starts to ping idle WebSocket connections, to close connections that take too long, and
        those whose callers may not call any more."""
        self.access.start(tasks)
        tasks.start("connections", self.connections.watch)
        tasks.start("connections-access", self.connections.watch_access)
        tasks.start("http-deadlines", self.open_connections.watch)
        if self.admin is not None:
            tasks.start("admin-deadlines", self.admin.open_connections.watch)
        if self.tls is not None:
            tasks.start("tls-files", self.tls.watch)

    def configure(self, config: Config) -> None:
        """Applies another configuration."""
        self.access.configure(config)
        self.state.configure(config)
        self.cors.configure(config.server.cors.origins)
        self.certificates.configure(_certificate_rules(config))
        if self.proxies.configure(*_believed(config)):
            self.certificates.forget_forwarded()
        self.open_connections.configure(_limits(config, self.max_connections, self.proxies))
        if self.tls is not None and config.server.tls is not None:
            self.tls.configure(config.server.tls, Path(config.secrets.dir))

    async def go_away(self) -> None:
        """Is not ready any more, takes no events, and tells subscribers to connect elsewhere."""
        self.state.drain()
        self.subscriptions.tell_positions_at_once()
        await self.connections.going_away(CLOSE_TIMEOUT)

    async def stop(self) -> None:
        """Closes the connections that the API itself has opened."""
        await self.access.stop()

    async def finish(self) -> None:
        """Waits until the subscriptions of closed connections have ended."""
        await self.subscriptions.wait_until_ended(CLOSE_TIMEOUT)


def _certificate_rules(config: Config) -> list[CertificateRule]:
    return [model.rule() for model in config.auth.mtls]


def _trusted(_certificate: ClientCertificate) -> None:
    """Without TLS of its own the gateway leaves to proxies which certificates are trusted."""


def _believed(config: Config) -> tuple[Sequence[str], AddressHeader, bool]:
    server = config.server
    networks, header = server.trusted_proxies, server.client_address_header
    return networks, header, server.forwarded_client_certificate


def _limits(config: Config, max_connections: int, proxies: TrustedProxies) -> ConnectionLimits:
    server = config.server
    return ConnectionLimits(
        total=min(server.max_connections or max_connections, max_connections),
        per_address=server.max_connections_per_address,
        proxies=proxies,
        body_timeout=server.body_timeout,
        keep_alive_timeout=server.keep_alive_timeout,
    )


def build_api(config: Config, admin_key: AdminKeyFile, max_connections: int, stages: Stages) -> Api:
    """Needs all stages: each route works with some of their parts. ``max_connections``: as many as
    the process has files for."""
    state = ApiState(config)
    subscribers = config.server.subscribers
    proxies = TrustedProxies(*_believed(config))
    open_connections = OpenConnections(
        _limits(config, max_connections, proxies), stages.adapters.metrics.http
    )
    cors = Cors(config.server.cors.origins)
    tls = None
    if config.server.tls is not None:
        from event_gateway.api.http.server_tls import ServerTls

        expires = stages.adapters.metrics.http.certificate_expires
        tls = ServerTls(config.server.tls, Path(config.secrets.dir), expires)
    certificates = ClientCertificates(
        _certificate_rules(config), _trusted if tls is None else tls.refuses, cors.allows_page
    )
    access = build_access(config, admin_key, stages, certificates)
    stages.observability.health.add(lambda: access.jwt.reasons)
    limit_reached = stages.adapters.metrics.limit_reached
    connections = Connections(subscribers, access.authenticator.still_valid, limit_reached)
    subscriptions = stages.streaming.subscriptions
    sources = build_sources(stages, access)
    application = build_application(
        __version__,
        authenticator=access.authenticator,
        state=state,
        audit=stages.adapters.audit,
        answers=IdempotentAnswers(stages.adapters.redis, stages.adapters.installation_key),
        events=EventsEndpoint(
            intake=stages.ingest.intake,
            admit=stages.ingest.admission.check,
            read=stages.adapters.log_reader.read,
            authenticator=access.authenticator,
            state=state,
        ),
        signing_keys=SigningKeysEndpoint(stages.adapters.registry, stages.requests.secrets),
        sources=SourceEndpoint(
            stages.adapters.registry,
            sources,
            state,
            certificates=certificates,
            limit_reached=limit_reached,
        ),
        limit_reached=limit_reached,
        tracing=stages.telemetry.tracing,
        groups=route_groups(
            stages, access=access, state=state, connections=connections, sources=sources
        ),
    )
    open_session = sessions(
        subscriptions=subscriptions,
        connections=connections,
        authenticator=access.authenticator,
        audit=stages.adapters.audit,
        state=state,
        tracing=stages.telemetry.tracing,
    )
    return Api(
        access=access,
        state=state,
        connections=connections,
        subscriptions=subscriptions,
        application=application,
        max_connections=max_connections,
        open_connections=open_connections,
        proxies=proxies,
        certificates=certificates,
        cors=cors,
        tls=tls,
        http=connection_for(open_connections, cors, tls, application.at_once),
        sockets=protocol_for(
            open_session, limit=subscribers.max_frame, deflate=subscribers.compression
        ),
        admin=_admin_port(config, stages, state),
    )


def _admin_port(config: Config, stages: Stages, state: ApiState) -> AdminPort | None:
    """Plain HTTP, with the limits of all connections but a few at a time."""
    if config.server.admin is None:
        return None
    connections = OpenConnections(
        _limits(config, MAX_ADMIN_CONNECTIONS, TrustedProxies()),
        HttpMetrics(stages.adapters.metrics.figures, admin=True),
    )
    application = admin_application(health_parts(stages, state))
    return AdminPort(
        asgi=application,
        open_connections=connections,
        http=connection_for(connections, Cors(), None, None),
    )
