"""Builds the ingest stage: what checks an event that comes in, and enriches it."""

from dataclasses import dataclass

from event_gateway import __version__
from event_gateway.app.stages.adapters import Adapters
from event_gateway.config.model import Config
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.expression import EvaluationError
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.ingest.catalog import Catalog
from event_gateway.ingest.intake import Intake
from event_gateway.observability.metrics import Metrics
from event_gateway.routing.enrichment import Enricher
from event_gateway.state.event_cache import EventCache
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.tasks import Supervisor


@dataclass(frozen=True, slots=True)
class Ingest:
    """The parts of this stage."""

    intake: Intake
    catalog: Catalog
    enricher: Enricher
    expression_errors: ExpressionErrors
    metrics: Metrics

    def note_expression_error(
        self, webhook: Webhook, received: Received, error: EvaluationError
    ) -> None:
        """A webhook's expression had no value for an event."""
        self.expression_errors.note(webhook, received, error)
        self.metrics.webhook(webhook.id).expression_errors += 1

    def start(self, supervisor: Supervisor) -> None:
        """Starts to write the expression errors to Redis."""
        supervisor.start("expression-errors", self.expression_errors.run)


def build_ingest(config: Config, adapters: Adapters) -> Ingest:
    """Needs the registry (event types) and the event log."""
    return Ingest(
        intake=Intake(adapters.events),
        catalog=Catalog(
            adapters.registry, adapters.metrics, enforce=config.catalog.enforce,
            strict=config.catalog.strict,
        ),
        enricher=Enricher(EventCache(adapters.redis), __version__),
        expression_errors=ExpressionErrors(adapters.redis),
        metrics=adapters.metrics,
    )  # fmt: skip
