"""What the API works with, handed in by the composition root."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from event_gateway.api.live.connections import Connections
from event_gateway.broker.connection import Broker
from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_log import EventLog
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry import Registry
from event_gateway.broker.rejected import RejectedInput
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.ingest.catalog import Catalog
from event_gateway.ingest.intake import Intake
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.streams import StreamRegistration
from event_gateway.registration.verification import Verifier
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.replay.replayer import Replayer
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.transformations import Transformations
from event_gateway.routing.enrichment import Enricher
from event_gateway.routing.repair import Repair
from event_gateway.secrets.named import Secrets
from event_gateway.secrets.sealed import SealedSecrets
from event_gateway.state.durables import Durables
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.ledger import Ledger
from event_gateway.state.queues import Queues
from event_gateway.state.replays import Replays
from event_gateway.state.runs import Runs
from event_gateway.state.subscriptions import Subscriptions
from event_gateway.state.tracking import Tracking
from event_gateway.streaming.hub import Hub
from event_gateway.streaming.subscription_directory import SubscriptionDirectory
from event_gateway.tasks import Supervisor
from event_gateway.transport.egress_guard import EgressGuard


@dataclass(slots=True)
class Context:
    """One gateway process, seen from its API. ``max_body`` in bytes, ``retention`` in seconds.

    ``allowed_origins``: who may send events, by what they call themselves; ``*`` is anybody.
    """

    version: str
    admin_key: str = field(repr=False)
    max_body: int
    retention: float
    allowed_origins: frozenset[str]
    broker: Broker
    peers: Peers
    registry: Registry
    registration: WebhookRegistration
    streams: StreamRegistration
    events: EventLog
    intake: Intake
    rejected: RejectedInput
    dispatcher: Dispatcher
    ledger: Ledger
    queues: Queues
    tracking: Tracking
    letters: DeadLetterLog
    runs: Runs
    manual_retry: ManualRetry
    replays: Replays
    replayer: Replayer
    hub: Hub
    subscriptions: Subscriptions
    lifecycle: Lifecycle
    metrics: Metrics
    supervisor: Supervisor
    secrets: Secrets
    sealed: SealedSecrets
    guard: EgressGuard
    verifier: Verifier
    transformations: Transformations
    builders: RequestBuilders
    enricher: Enricher
    repair: Repair
    matching: Callable[[Received], list[Webhook]]
    expression_errors: ExpressionErrors
    catalog: Catalog
    directory: SubscriptionDirectory
    durables: Durables
    connections: Connections
    token_key: bytes = field(repr=False)
    draining: bool = False
    ending: set[asyncio.Task[None]] = field(default_factory=set)

    def later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Has something done that only the end of the process waits for."""
        task = asyncio.create_task(work)
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)
        return task
