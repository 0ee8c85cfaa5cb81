"""Builds what takes in the requests of inbound sources."""

from event_gateway.app.stages.access import Access
from event_gateway.app.stages.stages import Stages
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.ingest.provider_documents import ProviderDocuments
from event_gateway.ingest.source_refusals import SourceRefusals
from event_gateway.ingest.source_requests import SourceRequests
from event_gateway.transport.document import fetch_document


def build_sources(stages: Stages, access: Access) -> SourceRequests:
    """Needs the access stage, whose client also fetches the documents of providers."""
    adapters, ingest, secrets = stages.adapters, stages.ingest, stages.requests.secrets
    registry, metrics = adapters.registry, adapters.metrics

    async def fetch(url: str) -> tuple[bytes, dict[str, str]]:
        return await fetch_document(access.http, url, "*/*")

    def counted(source: SourceDefinition, outcome: str, detail: str) -> None:
        metrics.source_request(source.name, outcome)
        ingest.source_counts.note(source, outcome, detail)

    secrets.keep_for_sources(
        lambda: [
            source.settings.secret_name
            for source in registry.sources.values()
            if source.settings.secret_name
        ]
    )
    return SourceRequests(
        registry,
        ingest.intake,
        ProviderDocuments(fetch),
        SourceRefusals(counted, adapters.rejected.store_request),
        secrets=secrets.find,
        admit=ingest.admission.check,
        visit=fetch,
        counted=counted,
    )
