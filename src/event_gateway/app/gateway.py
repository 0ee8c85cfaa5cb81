"""The composition root: builds one gateway process, starts, drains and stops it.

The only place that knows which adapter stands behind which name.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from fastapi import FastAPI

from event_gateway import __version__
from event_gateway.api.live.connections import Connections
from event_gateway.api.live.websocket import sessions
from event_gateway.api.live.websocket_protocol import WebSocketProtocol, protocol_for
from event_gateway.api.server import application
from event_gateway.api.server.context import Context
from event_gateway.app.gauges import measure
from event_gateway.app.registry_changes import InForce
from event_gateway.app.reload import (
    Governed,
    open_egress,
    records_kept,
    streams_of,
    transformations_of,
    webhooks_of,
)
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.connection import connect as connect_nats
from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.external_streams import open_streams
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import provision
from event_gateway.broker.registry import Registry
from event_gateway.broker.rejected import RejectedInput
from event_gateway.config.definitions import definitions_digest
from event_gateway.config.ingest_subjects import captured_subjects
from event_gateway.config.model import Config
from event_gateway.core.access.browser_token import signing_key
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import EvaluationError
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.replay import Replay
from event_gateway.core.webhook.retry_policy import longest_wait
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dead_letters import DeadLetters
from event_gateway.delivery.dispatcher import MAX_IN_FLIGHT, Dispatcher
from event_gateway.delivery.due_loop import DueLoop, Place
from event_gateway.delivery.expiry import Upkeep
from event_gateway.delivery.ordered import OrderedDeliveries
from event_gateway.delivery.outcomes import Outcomes
from event_gateway.ingest.catalog import Catalog
from event_gateway.ingest.intake import Intake
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.streams import StreamRegistration
from event_gateway.registration.verification import Verifier
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.replay.replayer import Replayer
from event_gateway.request.auth.tokens import Tokens
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.request.transformations import Transformations
from event_gateway.routing.enrichment import Enricher
from event_gateway.routing.index import Index
from event_gateway.routing.ordered_events import in_order
from event_gateway.routing.past_events import Part, replayed
from event_gateway.routing.repair import Repair
from event_gateway.routing.router import Router
from event_gateway.secrets.named import Secrets
from event_gateway.secrets.sealed import SealedSecrets
from event_gateway.state.checkpoints import Checkpoints
from event_gateway.state.connection import StateError
from event_gateway.state.connection import connect as connect_redis
from event_gateway.state.durables import Durables
from event_gateway.state.event_cache import EventCache
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.ledger import Ledger
from event_gateway.state.order import Order
from event_gateway.state.queues import Queues
from event_gateway.state.replays import Replays
from event_gateway.state.runs import Runs
from event_gateway.state.subscriptions import Subscriptions
from event_gateway.state.tracking import Tracking
from event_gateway.state.webhooks import WebhookCopies
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.roster import Roster
from event_gateway.tasks import end
from event_gateway.transport.client import HttpClient
from event_gateway.transport.egress_guard import EgressGuard

log = structlog.get_logger(__name__)

CLOSE_TIMEOUT = 2.0  # seconds in which subscribers are told to connect elsewhere


class Gateway:
    """One gateway process. Not started until :meth:`start`; its API is ``asgi``, and ``sockets``
    the protocol of its WebSocket connections."""

    asgi: FastAPI
    sockets: Callable[..., WebSocketProtocol]

    def __init__(
        self,
        config: Config,
        *,
        nats_url: str,
        redis_url: str,
        admin_key: str,
        environ: Mapping[str, str] = os.environ,
        max_attempts: int = MAX_IN_FLIGHT,
        sealing_key: Path | None = None,
        force: bool = False,
    ) -> None:
        """``max_attempts`` may be in flight at a time. ``sealing_key``: the file with the key of
        the sealed store, where there is no secret of that name. ``force``: the file's streams may
        drop events that they hold."""
        self._config = config
        self._nats_url = nats_url
        self._redis_url = redis_url
        self._admin_key = admin_key
        self._environ = environ
        self._max_attempts = max_attempts
        self._sealing_key = sealing_key
        self._force = force
        self._started = AsyncExitStack()  # what is to be stopped, the last first

    async def start(self) -> None:
        """Connects, provisions, loads the file's definitions, and begins to work.

        Raises ProvisionError, ServerRefused, InvalidDefinition, or what BrokerError and StateError
        name where a server cannot be reached.
        """
        config = self._config
        stopping = self._started.push_async_callback
        self._broker = broker = await connect_nats(self._nats_url)
        broker.replicas = config.nats.replicas
        stopping(broker.close)
        client = await connect_redis(self._redis_url)
        stopping(client.aclose)
        retention = config.ingest.retention
        foreign = await open_streams(broker, config.ingest.streams, longest_wait(retention))
        captured = await provision(
            broker, captured_subjects(config), retention, config.ingest.max_bytes,
            config.dead_letters.retention, foreign,
        )  # fmt: skip
        lifecycle = Lifecycle(broker.post)
        metrics = Metrics()
        events = EventLog(broker, captured, foreign)
        self._peers = peers = Peers(broker, secrets.token_hex(6), definitions_digest(config))
        await peers.start()
        stopping(peers.stop)
        registry = Registry(broker, peers)
        catalog = Catalog(
            registry, metrics, enforce=config.catalog.enforce, strict=config.catalog.strict
        )
        known_secrets = Secrets(self._environ, config.secrets.env_prefix, Path(config.secrets.dir))
        sealed = SealedSecrets(
            registry, known_secrets, lambda: known_secrets.sealing_key(self._sealing_key)
        )
        installation_key = await registry.open()
        self._ledger = ledger = Ledger(client, records_kept(config))
        enricher = Enricher(EventCache(client), __version__)
        index = Index()
        expression_errors = ExpressionErrors(client)

        def on_error(webhook: Webhook, received: Received, error: EvaluationError) -> None:
            expression_errors.note(webhook, received, error)
            metrics.webhook(webhook.id).expression_errors += 1

        self._guard = EgressGuard()
        http = HttpClient(self._guard, max_idle=max(1, self._max_attempts // 4))
        open_egress(self._guard, http, config)
        stopping(http.close)
        tokens = Tokens(http)
        transformations = Transformations(transformations_of(config))
        transformations.fell_back = metrics.fell_back
        builders = RequestBuilders(
            known_secrets, tokens, installation_key, __version__, transformations
        )
        receivers = ReceiverClient(http)
        stopping(receivers.stop)
        queues = Queues(client, ledger)
        letters = DeadLetterLog(broker)
        dead_letters = DeadLetters(letters)
        outcomes = Outcomes(ledger, dead_letters, lifecycle, longest_wait(retention))
        self._dispatcher = dispatcher = Dispatcher(
            ledger, queues, receivers, builders, outcomes, dead_letters, metrics, self._max_attempts
        )  # fmt: skip
        reader = EventReader(events, letters)

        async def load(places: Sequence[Place]) -> list[Received | Exception | None]:
            read = await reader.read_many(places)
            new = [one for one, at_hand in read if isinstance(one, Received) and not at_hand]
            if new:
                await enricher.enrich(new)
                for one in new:
                    reader.keep(one)
            return [one for one, _ in read]

        rejected = RejectedInput(broker)
        self._due = DueLoop(ledger, queues, dispatcher, load)
        outcomes.wake = self._due.wake
        outcomes.keep = reader.keep

        def source(
            webhook: Webhook, stream: str, from_seq: int
        ) -> AsyncGenerator[tuple[list[Received], int]]:
            return in_order(broker, enricher, catalog.admitted, on_error, webhook, stream, from_seq)

        order = Order(client, self._peers.process)
        self._ordered = ordered = OrderedDeliveries(order, ledger, dispatcher, events, source)
        upkeep = Upkeep(queues, outcomes, dispatcher, self._due, peers)
        self._routers = [
            Router(
                broker, rejected, ledger, index, enricher, dispatcher.dispatch, metrics,
                catalog.admit_captured, on_error, stream,
            )
            for stream in (EVENTS, *config.ingest.streams)
        ]  # fmt: skip
        for router in self._routers:
            stopping(router.close)
        self._repair = repair = Repair(
            broker, peers, Checkpoints(client, peers.process), ledger, index,
            catalog.admitted, (EVENTS, *config.ingest.streams), outcomes.left,
            lambda: outcomes.max_age, manual=config.repair == "manual",
        )  # fmt: skip
        runs = Runs(client, ledger, config.dead_letters.retention)
        manual_retry = ManualRetry(
            registry, reader, letters, runs, retention, config.dead_letters.retention,
            {one.name: one.max_age for one in foreign},
        )  # fmt: skip

        async def past(webhook: Webhook, replay: Replay, position: int) -> Part:
            return await replayed(broker, catalog.admitted, webhook, replay, position)

        replays = Replays(client, peers.process)
        replayer = Replayer(replays, runs, manual_retry, letters, registry, past)
        self._hub = Hub(broker, enricher.enrich, catalog.admitted, metrics.streams)
        stopping(self._hub.stop)
        durables = Durables(client)
        roster = Roster(broker, peers, self._hub)
        subscriptions = Subscriptions(client)
        self._registration = WebhookRegistration(registry, events, queues, lifecycle)
        dispatcher.standing.disable = self._registration.disable
        stopping(self._registration.stop)
        self._streams = StreamRegistration(broker, registry, events, lifecycle)
        events.captures_new_roots = config.ingest.subjects is None
        copies = WebhookCopies(client)
        in_force = InForce(registry, index, dispatcher, ordered, copies, self._hub)
        repair.on_loss += [in_force.copy_again, upkeep.reconcile]
        in_force.follow()
        verifier = Verifier(
            registry, self._registration, peers, receivers=receivers, builders=builders,
            origin=config.delivery.origin,
        )  # fmt: skip
        stopping(verifier.stop)
        stopping(registry.stop)
        await registry.watch()
        await self._streams.load_file(streams_of(config), force=self._force)
        await self._registration.load_file(webhooks_of(config))
        await verifier.withdraw()
        await self._registration.adopt_streams()
        await ledger.start()
        await upkeep.learn()
        self._context = Context(
            version=__version__,
            admin_key=self._admin_key,
            max_body=config.server.max_body,
            retention=retention,
            allowed_origins=frozenset(config.ingest.allowed_origins),
            broker=broker,
            peers=peers,
            registry=registry,
            registration=self._registration,
            streams=self._streams,
            events=events,
            intake=Intake(events),
            rejected=rejected,
            dispatcher=dispatcher,
            ledger=ledger,
            queues=queues,
            tracking=Tracking(client),
            letters=letters,
            runs=runs,
            manual_retry=manual_retry,
            replays=replays,
            replayer=replayer,
            hub=self._hub,
            subscriptions=subscriptions,
            lifecycle=lifecycle,
            metrics=metrics,
            secrets=known_secrets,
            sealed=sealed,
            guard=self._guard,
            verifier=verifier,
            transformations=transformations,
            builders=builders,
            enricher=enricher,
            repair=repair,
            matching=in_force.matching,
            expression_errors=expression_errors,
            catalog=catalog,
            roster=roster,
            durables=durables,
            connections=Connections(config.server.subscribers),
            token_key=signing_key(installation_key),
        )
        self._governed = Governed(
            broker=broker, events=events, peers=peers, guard=self._guard, http=http,
            registration=self._registration, streams=self._streams, verifier=verifier,
            ledger=ledger, outcomes=outcomes, runs=runs, manual_retry=manual_retry, repair=repair,
            transformations=transformations, catalog=catalog, context=self._context,
        )  # fmt: skip
        await roster.start()
        self.asgi = application.build(self._context)
        subscribers = config.server.subscribers
        self.sockets = protocol_for(
            sessions(self._context), limit=subscribers.max_frame, deflate=subscribers.compression
        )
        self._due.start()
        ordered.start()
        for router in self._routers:
            router.start()
        chores = [copies.run(), self._registration.carry_on(), self._streams.carry_on()]
        chores += [
            subscriptions.run(lambda: [one.id for one in self._hub.subscribers()]),
            measure(registry, self._hub, queues, metrics), upkeep.run(), verifier.run(),
        ]  # fmt: skip
        chores += [replayer.run(), repair.run(), expression_errors.run(), durables.run()]
        chores += [self._context.connections.watch()]
        stopping(end, [asyncio.create_task(chore) for chore in chores])

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
        self._context.draining = True  # not ready, and nothing more is taken in over HTTP
        await self._context.connections.going_away(CLOSE_TIMEOUT)
        await asyncio.gather(*(router.stop() for router in self._routers))
        await self._due.stop()
        timeout = self._config.server.drain_timeout
        await asyncio.gather(self._ordered.stop(timeout), self._dispatcher.stop(timeout))
        if self._context.ending:
            await asyncio.wait(self._context.ending, timeout=CLOSE_TIMEOUT)
        await self._ledger.stop()  # what it confirms is acknowledged when the broker is closed
        with contextlib.suppress(*StateError, *BrokerError):
            await self._repair.note()

    async def stop(self) -> None:
        """Ends everything; what is not recorded comes again at the next start."""
        await self._started.aclose()
