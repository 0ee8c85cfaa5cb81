"""One gateway process: it is opened, starts, drains and stops.

Only this package knows which adapter stands behind which name: :mod:`event_gateway.app.stages` has
a function for each stage that builds it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.api.server.application import Application
from event_gateway.app.gauges import Gauges
from event_gateway.app.log_adoption import LogAdoption
from event_gateway.app.reload import apply_configuration, plan_reload
from event_gateway.app.stages.api import Api, build_api
from event_gateway.app.stages.stages import ProcessSettings, Stages, build_stages
from event_gateway.app.stream_upkeep import StreamUpkeep
from event_gateway.broker.connection import CLOSE_TIMEOUT, BrokerError
from event_gateway.broker.provision import AUDIT, STATUS
from event_gateway.config.model import Config
from event_gateway.config.plan import Plan
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.state.connection import StateError, servers_of
from event_gateway.tasks import Supervisor, TaskGroup

log = structlog.get_logger(__name__)

DRAIN_MARGIN = 8.0  # seconds for all of a drain but the attempts
AUDIT_TIMEOUT = 2.0  # seconds for the last records of the audit log
STOP_MARGIN = AUDIT_TIMEOUT + CLOSE_TIMEOUT  # seconds for a stop


async def open_gateway(
    config: Config,
    settings: ProcessSettings,
    *,
    admin_key: AdminKeyFile,
    supervisor: Supervisor,
    metrics: Metrics,
) -> "Gateway":
    """Connects to NATS and Redis, provisions the streams, and builds all stages.

    Raises ProvisionError, ServerRefused, or the exceptions in BrokerError and StateError where a
    server cannot be reached; then nothing is left open.
    """
    async with AsyncExitStack() as closing:
        stages = await build_stages(
            config, settings, supervisor=supervisor, metrics=metrics, closing=closing
        )
        api = build_api(config, admin_key, settings.max_connections, stages)
        return Gateway(config, stages, api, closing.pop_all())


class Gateway:
    """The stages of one process. ``connections`` are closed when it stops."""

    def __init__(
        self, config: Config, stages: Stages, api: Api, connections: AsyncExitStack
    ) -> None:
        self._config = config
        self._connections = connections
        self._tasks = TaskGroup(stages.supervisor)
        self.stages = stages
        self.api = api
        adapters = stages.adapters
        external = [stream.name for stream in adapters.events.external]
        self._adoption = LogAdoption(
            adapters.broker,
            adapters.registry,
            stages.routing.checkpoints,
            logs=[EVENTS, LIFECYCLE, *external],
            copy_again=stages.registrations.applied_streams.copy_from,
        )
        self._upkeep = StreamUpkeep(
            adapters.broker,
            adapters.streams,
            adapters.peers,
            adapters.registry,
            adoption=self._adoption,
            external=external,
            create_own=self._create_own_streams,
            create_named=stages.registrations.applied_streams.create_again,
            recreated=self._recreated,
        )
        stages.observability.health.add(lambda: self._upkeep.reasons)
        stages.observability.health.add_figures("streams", self._stream_figures)
        self._gauges = Gauges(stages, self._upkeep)

    @property
    def asgi(self) -> Application:
        """The API of this process."""
        return self.api.application

    @property
    def http(self) -> Callable[..., asyncio.Protocol]:
        """Makes the protocol of an HTTP connection."""
        return self.api.http

    @property
    def sockets(self) -> Callable[..., WebSocketProtocol]:
        """Makes the protocol of a WebSocket connection."""
        return self.api.sockets

    async def start(self, *, force: bool = False) -> None:
        """Reads the registry and the ledger, writes the file's definitions, and starts to work.

        ``force``: the file's streams may drop events that they hold, and webhooks that it does not
        name any more are deleted with their waiting deliveries. Raises ProvisionError,
        ServerRefused, InvalidDefinition, NewerFormat, or the exceptions in BrokerError and
        StateError.
        """
        stages, tasks = self.stages, self._tasks
        stages.routing.changes.follow()
        tasks.start("audit-log", stages.adapters.audit.run)  # first: no change without a record
        await stages.adapters.registry.watch()
        await self._adoption.check_all()
        await stages.registrations.load_file(self._config, force=force)
        await stages.adapters.ledger.start()
        await stages.routing.lifecycle.prepare()
        await stages.deliveries.lane_sync.sync()
        # Before the first attempt: if this fails, nothing is in flight.
        await stages.streaming.start(tasks)
        # What delivers starts first, so that it is there for what takes events.
        stages.deliveries.start(tasks)
        stages.routing.start(tasks)
        stages.registrations.start(tasks)
        stages.replaying.start(tasks)
        stages.lookup.start(tasks)
        stages.ingest.start(tasks)
        await stages.alerts.start(tasks)
        stages.history.start(tasks)
        stages.compliance.start(tasks)
        self.api.start(tasks)
        stages.observability.start(tasks)
        tasks.start("gauges", self._gauges.run)
        tasks.start("stream-upkeep", self._upkeep.run)
        tasks.start("telemetry", stages.telemetry.run)
        tasks.start("redis-settings", stages.adapters.redis_settings.run)
        if (servers := servers_of(stages.adapters.redis)) is not None:
            tasks.start("redis-primary", servers.primary.watch)

    async def reload(self, config: Config, *, force: bool = False, dry_run: bool = False) -> Plan:
        """Applies another configuration, all or nothing, and returns what that has changed.

        ``force``: also if deliveries that wait, or messages of a stream, are lost. ``dry_run``:
        only says what it would change and lose. Raises ReloadRefused, and the former configuration
        stays; or the exceptions in BrokerError and StateError if NATS or Redis goes away on the
        way: then the caller tries again.
        """
        if dry_run:
            return await plan_reload(self._config, config, self.stages, force=force)
        plan = await apply_configuration(self._config, config, self.stages, self.api, force=force)
        self._config = config
        return plan

    async def drain(self) -> None:
        """Takes nothing more, and finishes and records what has started.

        Attempts that take longer than ``server.drain_timeout`` stay in progress under their leases.
        DRAIN_MARGIN seconds later the drain ends as it is, if NATS or Redis keeps it from its end:
        what is not recorded is delivered again after the next start. A step that fails does not
        keep the others from theirs.
        """
        try:
            async with asyncio.timeout(self._config.server.drain_timeout + DRAIN_MARGIN):
                for name, step in self._drain_steps().items():
                    try:
                        await step()
                    except Exception as error:
                        log.error("a step of the drain failed", step=name, exc_info=error)
        except TimeoutError:
            log.warning("the drain took too long; what is not recorded will be delivered again")

    def _drain_steps(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What a drain does, in this order."""
        stages, timeout = self.stages, self._config.server.drain_timeout
        return {
            "going away": self.api.go_away,
            "taking no events": stages.routing.stop_taking,
            "taking no deliveries": stages.deliveries.stop_taking,
            "finishing attempts": lambda: stages.deliveries.finish(timeout),
            "ending subscriptions": self.api.finish,
            # Acknowledgements for what the ledger confirms here are sent when NATS is closed.
            "writing records": stages.adapters.ledger.stop,
            "writing history": stages.history.recorder.finish,
            "writing checkpoints": self._write_checkpoints,
        }

    async def _write_checkpoints(self) -> None:
        with contextlib.suppress(*StateError, *BrokerError):
            await self.stages.routing.repair.write_checkpoints()

    async def stop(self) -> None:
        """Ends all tasks and closes the connections, whether it has started and drained or not.

        What is not recorded is delivered again after the next start.
        """
        stages = self.stages
        async with self._connections:  # closed last
            # Without a drain the router may still take events, which no stage would record.
            await stages.routing.stop()
            await stages.adapters.audit.finish(AUDIT_TIMEOUT)
            await self._tasks.stop()
            await self.api.stop()
            await stages.deliveries.stop_taking()
            await stages.adapters.registry.stop()
            await stages.registrations.stop()
            await stages.streaming.stop()
            await stages.requests.stop()
            await stages.telemetry.stop()

    def _recreated(self, stream: str) -> None:
        self.stages.streaming.hub.stream_recreated(stream)
        if stream == AUDIT:
            self.stages.adapters.audit.recreated()
        elif stream == STATUS:
            self.stages.observability.bucket.recreated()
            self.stages.observability.leader.bucket_recreated()
            self.stages.alerts.book.bucket_recreated()

    def _stream_figures(self) -> dict[str, int]:
        size = self._upkeep.log_size
        if size is None:
            return {}
        return {
            "log_messages": size.messages, "log_bytes": size.bytes, "log_max_bytes": size.max_bytes,
        }  # fmt: skip

    async def _create_own_streams(self) -> None:
        registry = self.stages.adapters.registry
        patterns = [
            *(
                pattern
                for webhook in registry.webhooks.values()
                if not webhook.owner
                for pattern in webhook.events
            ),
            *(subject for stream in registry.streams.values() for subject in stream.subjects),
        ]
        await self.stages.adapters.provision_again(self._config, patterns)
