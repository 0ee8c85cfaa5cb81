"""The gateway without lifecycle events and enrichment: what the delivery itself costs.

    python -m bench.lean serve …

Takes the gateway's own arguments. No user has these switches; only this process lacks both.
"""

from collections.abc import Sequence

from event_gateway.cli.main import main
from event_gateway.core.cloudevents.event import Received
from event_gateway.observability.lifecycle import Lifecycle
from event_gateway.pipeline.enrichment import Enricher


async def _leave(self: Enricher, batch: Sequence[Received]) -> None:
    """Enriches nothing and remembers nothing."""


Enricher.enrich = _leave  # type: ignore[method-assign, assignment]
Lifecycle.webhook = lambda self, what, webhook_id, data: None  # type: ignore[method-assign]
Lifecycle.stream = lambda self, what, name, data: None  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
