"""Builds the ingest stage: what checks an event that comes in, and enriches it."""

import functools
from dataclasses import dataclass

from event_gateway import __version__
from event_gateway.app.stages.adapters import Adapters
from event_gateway.broker.provision import DEAD_LETTERS
from event_gateway.config.model import Config
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.ingest.admission import Admission
from event_gateway.ingest.catalog import Catalog
from event_gateway.ingest.intake import Intake
from event_gateway.ingest.schema_policy import SchemaPolicy
from event_gateway.observability.metrics import Metrics
from event_gateway.observability.tracing.spans import Tracing
from event_gateway.pipeline.decoding import EventDecoder
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.pipeline.stored_events import StoredEvents
from event_gateway.state.event_cache import EventCache
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.source_counts import SourceCounts
from event_gateway.tasks import TaskGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """The parts of this stage. ``capture`` decodes the events that the router takes from the log,
    ``decoder`` those that are read again, ``live_decoder`` those for live subscribers."""

    intake: Intake
    schema_policy: SchemaPolicy
    catalog: Catalog
    admission: Admission
    enricher: Enricher
    capture: EventDecoder
    decoder: EventDecoder
    live_decoder: EventDecoder
    stored_events: StoredEvents
    expression_errors: ExpressionErrors
    source_counts: SourceCounts
    metrics: Metrics

    def note_expression_error(
        self, webhook: Webhook, received: Received, error: EvaluationError
    ) -> None:
        """A webhook's expression had no value for an event."""
        self.expression_errors.note(webhook, received, error)
        self.metrics.webhook(webhook.id).expression_errors += 1

    def configure(self, config: Config) -> None:
        """Applies how the catalog's schemas are enforced."""
        catalog = config.catalog
        self.schema_policy.configure(enforce=catalog.enforce, strict=catalog.strict)

    def start(self, tasks: TaskGroup) -> None:
        """Starts to write the expression errors, and the counts of sources, to Redis."""
        tasks.start("expression-errors", self.expression_errors.run)
        tasks.start("source-counts", self.source_counts.run)


def build_ingest(config: Config, adapters: Adapters, tracing: Tracing) -> Ingest:
    """Needs the registry (event types) and the event log."""
    policy = SchemaPolicy(enforce=config.catalog.enforce, strict=config.catalog.strict)
    admission = Admission(adapters.registry, policy, adapters.metrics)
    cache = EventCache(adapters.redis, __version__, (DEAD_LETTERS,), index=adapters.event_index)
    enricher = Enricher(cache, __version__)
    return Ingest(
        intake=Intake(adapters.events, tracing),
        schema_policy=policy,
        catalog=Catalog(adapters.registry, policy),
        admission=admission,
        enricher=enricher,
        capture=EventDecoder(
            admission.check_captured, functools.partial(enricher.enrich, routes=True)
        ),
        decoder=EventDecoder(admission.check_again, enricher.enrich),
        live_decoder=EventDecoder(admission.check_again, enricher.enrich_live),
        stored_events=StoredEvents(adapters.reader, enricher.enrich_now),
        expression_errors=ExpressionErrors(adapters.redis),
        source_counts=SourceCounts(adapters.redis),
        metrics=adapters.metrics,
    )
