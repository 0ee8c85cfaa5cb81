"""The composition root: builds the stages of one gateway process, starts, drains and stops them.

Only this package knows which adapter stands behind which name; `stages` has one builder for each.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from fastapi import FastAPI

from event_gateway.api.live.websocket_protocol import WebSocketProtocol
from event_gateway.app.gauges import measure
from event_gateway.app.reload import Governed
from event_gateway.app.stages.adapters import open_adapters
from event_gateway.app.stages.api import build_api
from event_gateway.app.stages.delivery import build_delivery
from event_gateway.app.stages.ingest import build_ingest
from event_gateway.app.stages.registration import build_registration
from event_gateway.app.stages.replay import build_replay
from event_gateway.app.stages.request import build_requests
from event_gateway.app.stages.routes import Stages
from event_gateway.app.stages.routing import build_routing
from event_gateway.app.stages.streaming import build_streaming
from event_gateway.broker.connection import BrokerError
from event_gateway.config.model import Config
from event_gateway.delivery.dispatcher import MAX_IN_FLIGHT
from event_gateway.observability.metrics import Metrics
from event_gateway.state.connection import StateError
from event_gateway.tasks import Supervisor


class Gateway:
    """One gateway process. The stages are there once :meth:`start` has built them."""

    def __init__(
        self,
        config: Config,
        *,
        nats_url: str,
        redis_url: str,
        admin_key: str,
        supervisor: Supervisor,
        metrics: Metrics,
        environ: Mapping[str, str] = os.environ,
        max_attempts: int = MAX_IN_FLIGHT,
        sealing_key: Path | None = None,
        force: bool = False,
    ) -> None:
        """``max_attempts`` may be in flight at a time. ``sealing_key``: the file with the key of
        the sealed store, used if there is no secret of that name. ``force``: the file's streams
        may drop events that they hold."""
        self._config = config
        self._nats_url = nats_url
        self._redis_url = redis_url
        self._admin_key = admin_key
        self._environ = environ
        self._max_attempts = max_attempts
        self._sealing_key = sealing_key
        self._force = force
        self._metrics = metrics
        self._stopping = AsyncExitStack()  # what is to be stopped, the last first
        self.supervisor = supervisor

    @property
    def asgi(self) -> FastAPI:
        """The API of this process."""
        return self.api.asgi

    @property
    def sockets(self) -> Callable[..., WebSocketProtocol]:
        """Makes the protocol of a WebSocket connection."""
        return self.api.sockets

    async def start(self) -> None:
        """Connects, provisions, builds the stages, loads the file's definitions, and begins to
        work.

        Raises ProvisionError, ServerRefused, InvalidDefinition, or what BrokerError and StateError
        name where a server cannot be reached.
        """
        await self._build()
        self._stop_last_first()
        await self._load()
        await self._begin()

    async def _build(self) -> None:
        """Builds each stage from those before it. Nothing but the connections works yet."""
        config = self._config
        self.adapters = adapters = await open_adapters(
            config, self._nats_url, self._redis_url,
            metrics=self._metrics, supervisor=self.supervisor, closing=self._stopping,
        )  # fmt: skip
        self.ingest = ingest = build_ingest(config, adapters)
        self.requests = requests = build_requests(
            config, adapters, self._environ, self._sealing_key, self._max_attempts
        )
        self.registrations = build_registration(config, adapters, requests)
        self.deliveries = build_delivery(
            config,
            adapters,
            ingest,
            requests,
            self.registrations,
            self._max_attempts,
            self.supervisor,
        )
        self.streaming = build_streaming(adapters, ingest, self.supervisor)
        self.routing = build_routing(
            config, adapters, ingest, self.deliveries, self.streaming, self.supervisor
        )
        self.replaying = build_replay(config, adapters, ingest)
        stages = Stages(
            adapters=adapters, ingest=ingest, requests=requests,
            registrations=self.registrations, deliveries=self.deliveries,
            streaming=self.streaming, routing=self.routing, replaying=self.replaying,
            supervisor=self.supervisor,
        )  # fmt: skip
        self.api = build_api(config, self._admin_key, stages)
        self._governed = Governed(
            broker=adapters.broker, events=adapters.events, peers=adapters.peers,
            requests=requests, registrations=self.registrations, ledger=adapters.ledger,
            outcomes=self.deliveries.outcomes, runs=adapters.runs,
            manual_retry=self.replaying.manual_retry, repair=self.routing.repair,
            schema_policy=ingest.schema_policy, api=self.api.state,
        )  # fmt: skip

    def _stop_last_first(self) -> None:
        """The connections are closed after all of these."""
        stopping = self._stopping.push_async_callback
        stopping(self.requests.stop)
        stopping(self.routing.stop)
        stopping(self.streaming.stop)
        stopping(self.registrations.stop)
        stopping(self.adapters.registry.stop)

    async def _load(self) -> None:
        """Reads the registry and the ledger, and writes the file's definitions."""
        self.routing.changes.follow()
        await self.adapters.registry.watch()
        await self.registrations.load_file(self._config, force=self._force)
        await self.adapters.ledger.start()
        await self.deliveries.upkeep.learn()

    async def _begin(self) -> None:
        """Starts the stages' tasks: first what takes events, then what looks after it."""
        adapters = self.adapters
        self.deliveries.start(self.supervisor)
        self.routing.start(self.supervisor)
        self.registrations.start(self.supervisor)
        await self.streaming.start(self.supervisor)
        self.replaying.start(self.supervisor)
        self.ingest.start(self.supervisor)
        self.api.start(self.supervisor)
        self.supervisor.start(
            "gauges",
            lambda: measure(
                adapters.registry, self.streaming.hub, adapters.queues, adapters.metrics
            ),
        )

    async def reload(self, config: Config) -> None:
        """Takes up another configuration, all or nothing.

        Raises ReloadRefused, with all as it was, and what BrokerError names where NATS goes away
        on the way: then it is to be repeated.
        """
        await self._governed.reload(self._config, config)
        self._config = config

    async def drain(self) -> None:
        """Ends the work in phases, so that what is begun is finished and recorded.

        What it cannot finish within ``server.drain_timeout`` stays in progress under its lease.
        """
        await self.api.go_away()
        await self.routing.stop_taking()
        await self.deliveries.stop_taking()
        await self.deliveries.finish(self._config.server.drain_timeout)
        await self.api.finish()
        await self.adapters.ledger.stop()  # what it confirms is acknowledged until NATS is closed
        with contextlib.suppress(*StateError, *BrokerError):
            await self.routing.repair.write_checkpoints()

    async def stop(self) -> None:
        """Ends everything; what is not recorded comes again at the next start."""
        await self._stopping.aclose()
