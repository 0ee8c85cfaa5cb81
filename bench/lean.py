"""The gateway without lifecycle events and enrichment: the cost of the delivery itself.

    python -m bench.lean serve …

Accepts the gateway's own arguments. The gateway has no such options; only this process lacks both.
"""

from collections.abc import Sequence

from event_gateway.cli.main import main
from event_gateway.core.cloudevents.event import Received
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.pipeline.enrichment import Enricher


async def _no_enrichment(
    self: Enricher, batch: Sequence[Received], *, routes: bool = False
) -> None:
    """Enriches nothing and remembers nothing."""


Enricher.enrich = _no_enrichment  # type: ignore[method-assign]
Enricher.enrich_now = _no_enrichment  # type: ignore[method-assign]
Lifecycle.attempt = lambda self, data, at: None  # type: ignore[method-assign]
Lifecycle.webhook = lambda self, action, webhook_id, data: None  # type: ignore[method-assign]
Lifecycle.stream = lambda self, action, name, data: None  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
