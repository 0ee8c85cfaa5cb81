"""Gives each group of routes the parts of the stages that it works with."""

from event_gateway import __version__
from event_gateway.api.live import sse, websocket
from event_gateway.api.live.connections import Connections
from event_gateway.api.routes import (
    alerts,
    audit_log,
    bulk_deliveries,
    bulk_webhooks,
    caller,
    compliance,
    configuration,
    dead_letter_deletion,
    dead_letters,
    deliveries,
    event_lists,
    event_lookup,
    event_resend,
    event_types,
    health,
    history,
    keys,
    legal_holds,
    matching,
    overview,
    rejected,
    reload,
    repair,
    replays,
    sealed_records,
    secret_rules,
    secrets,
    source_trials,
    sources,
    streams,
    subscriptions,
    tokens,
    transformations,
    webhook_actions,
    webhook_check,
    webhook_stats,
    webhooks,
)
from event_gateway.api.routes.compliant_stream import ComplianceParts
from event_gateway.api.routes.dead_letter_selection import DeadLetterSelection
from event_gateway.api.routes.webhook_rules import WebhookRules
from event_gateway.api.server.application import RouteGroup
from event_gateway.api.server.exports import Exports
from event_gateway.api.server.state import ApiState
from event_gateway.app.stages.access import Access
from event_gateway.app.stages.stages import Stages
from event_gateway.broker.stream_rates import MessageRates
from event_gateway.ingest.source_requests import SourceRequests


def route_groups(
    stages: Stages,
    *,
    access: Access,
    state: ApiState,
    connections: Connections,
    sources: SourceRequests,
) -> list[RouteGroup]:
    """All routes but those of ``/v1/events`` and the signing keys, each with its parts."""
    return [
        *_webhook_groups(stages, state),
        *_stream_groups(stages, access, state, connections),
        *_access_groups(stages, access),
        *_delivery_groups(stages),
        *_event_groups(stages),
        _source_group(stages, sources),
        _audit_group(stages, state, connections),
        _alert_group(stages),
        _health_group(stages, state),
        _overview_group(stages),
        _history_group(stages),
        RouteGroup(reload.ReloadParts(reloads=stages.registrations.reloads), (reload.router,)),
        RouteGroup(
            configuration.ConfigurationParts(state=state, version=__version__),
            (configuration.router,),
        ),
    ]


def _webhook_groups(stages: Stages, state: ApiState) -> list[RouteGroup]:
    registry = stages.adapters.registry
    secret_parts = secret_rules.SecretParts(
        registry=registry,
        secrets=stages.requests.secrets,
        sealed=stages.requests.sealed,
        data_sealing=stages.compliance.sealing,
    )
    matching_parts = matching.MatchingParts(
        registry=registry, matching=stages.routing.changes.matching
    )
    rules = WebhookRules(
        secrets=stages.requests.secrets,
        transformations=stages.requests.transformations,
        guard=stages.requests.guard,
        state=state,
        events=stages.adapters.events,
        receivers=stages.requests.receivers,
    )
    check_parts = webhook_check.WebhookCheckParts(
        registry=registry,
        rules=rules,
        builders=stages.requests.builders,
        enricher=stages.ingest.enricher,
    )
    webhook_parts = webhooks.WebhookParts(
        registry=registry,
        registration=stages.registrations.webhooks,
        verifier=stages.registrations.verifier,
        expression_errors=stages.ingest.expression_errors,
        queues=stages.adapters.queues,
        rules=rules,
    )
    action_parts = webhook_actions.WebhookActionParts(
        registry=registry,
        registration=stages.registrations.webhooks,
        verifier=stages.registrations.verifier,
        receivers=stages.requests.receivers,
        builders=stages.requests.builders,
        rules=rules,
        secrets=secret_parts,
    )
    stats_parts = webhook_stats.WebhookStatsParts(
        registry=registry, queues=stages.adapters.queues, waiting=stages.registrations.waiting
    )
    return [
        # First: /v1/webhooks/match and /v1/webhooks/check are no webhooks.
        RouteGroup(matching_parts, (matching.router,)),
        RouteGroup(check_parts, (webhook_check.router,)),
        RouteGroup(
            bulk_webhooks.BulkWebhookParts(
                registry=registry, registration=stages.registrations.webhooks
            ),
            (bulk_webhooks.router,),
        ),
        RouteGroup(webhook_parts, (webhooks.router,)),
        RouteGroup(action_parts, (webhook_actions.router,)),
        RouteGroup(stats_parts, (webhook_stats.router,)),
        RouteGroup(secret_parts, (secrets.router,)),
    ]


def _stream_groups(
    stages: Stages, access: Access, state: ApiState, connections: Connections
) -> list[RouteGroup]:
    adapters, streaming = stages.adapters, stages.streaming
    stream_parts = streams.StreamParts(
        registry=adapters.registry,
        registration=stages.registrations.streams,
        events=adapters.events,
        broker=adapters.broker,
        rates=MessageRates(adapters.broker),
        directory=streaming.directory,
        batches=streaming.hub.batches,
    )
    compliance_parts = ComplianceParts(
        registry=adapters.registry,
        holds=stages.registrations.holds,
        broker=adapters.broker,
        chains=stages.compliance.chains,
        sealing=stages.compliance.sealing,
        exports=Exports(stages.adapters.metrics.limit_reached),
    )
    sse_parts = sse.SseParts(
        subscriptions=streaming.subscriptions,
        connections=connections,
        authenticator=access.authenticator,
        state=state,
    )
    subscription_parts = subscriptions.SubscriptionParts(directory=streaming.directory)
    return [
        RouteGroup(
            compliance_parts, (compliance.router, legal_holds.router, sealed_records.router)
        ),
        RouteGroup(stream_parts, (streams.router,)),
        RouteGroup(sse_parts, (sse.router, websocket.router)),
        RouteGroup(subscription_parts, (subscriptions.router,)),
    ]


def _access_groups(stages: Stages, access: Access) -> list[RouteGroup]:
    registry = stages.adapters.registry
    token_parts = tokens.TokenParts(registry=registry, tokens=access.tokens)
    return [
        RouteGroup(keys.KeyParts(registry=registry, keys=access.keys), (keys.router,)),
        RouteGroup(token_parts, (tokens.router,)),
        RouteGroup(caller.CallerParts(version=__version__), (caller.router,)),
    ]


def _delivery_groups(stages: Stages) -> list[RouteGroup]:
    adapters, replaying = stages.adapters, stages.replaying
    replay_parts = replays.ReplayParts(
        registry=adapters.registry,
        events=adapters.events,
        replays=replaying.replays,
        replayer=replaying.replayer,
    )
    delivery_parts = deliveries.DeliveryParts(
        registry=adapters.registry,
        listing=stages.lookup.deliveries,
        ledger=adapters.ledger,
        reader=adapters.reader,
        manual_retry=replaying.manual_retry,
    )
    dead_letter_parts = dead_letters.DeadLetterParts(
        dead_letters=adapters.dead_letters,
        selection=DeadLetterSelection(adapters.dead_letters, adapters.registry),
        ledger=adapters.ledger,
        runs=adapters.runs,
        replays=replay_parts,
    )
    repair_parts = repair.RepairParts(
        repair=stages.routing.repair, lost_log=stages.routing.lost_log
    )
    return [
        RouteGroup(delivery_parts, (bulk_deliveries.router, deliveries.router)),
        RouteGroup(dead_letter_parts, (dead_letters.router, dead_letter_deletion.router)),
        RouteGroup(replay_parts, (replays.router,)),
        RouteGroup(repair_parts, (repair.router,)),
    ]


def _event_groups(stages: Stages) -> list[RouteGroup]:
    ingest = stages.ingest
    event_type_parts = event_types.EventTypeParts(
        catalog=ingest.catalog, version=__version__, registry=stages.adapters.registry
    )
    rejected_parts = rejected.RejectedParts(
        rejected=stages.adapters.rejected, admit=ingest.admission.check
    )
    transformation_parts = transformations.TransformationParts(
        registry=stages.adapters.registry,
        builders=stages.requests.builders,
        transformations=stages.requests.transformations,
        enricher=stages.ingest.enricher,
    )
    return [
        *_lookup_groups(stages),
        RouteGroup(event_type_parts, (event_types.router, event_types.document)),
        RouteGroup(rejected_parts, (rejected.router,)),
        RouteGroup(transformation_parts, (transformations.router,)),
    ]


def _source_group(stages: Stages, requests: SourceRequests) -> RouteGroup:
    parts = sources.SourceParts(
        registry=stages.adapters.registry,
        registration=stages.registrations.sources,
        requests=requests,
        counts=stages.ingest.source_counts,
        secrets=stages.requests.secrets,
    )
    return RouteGroup(parts, (sources.router, source_trials.router))


def _lookup_groups(stages: Stages) -> list[RouteGroup]:
    adapters, lookup = stages.adapters, stages.lookup
    event_parts = event_lookup.EventParts(
        broker=adapters.broker,
        registry=adapters.registry,
        event_log=adapters.events,
        log=adapters.log_reader,
        dead_letters=adapters.dead_letters,
        rejected=adapters.rejected,
        finder=lookup.finder,
        states=lookup.states,
        relations=lookup.relations,
        account=lookup.account,
        matching=stages.routing.changes.matching,
        builders=stages.requests.builders,
        enricher=stages.ingest.enricher,
        admit=stages.ingest.admission.check_again,
    )
    resend_parts = event_resend.ResendParts(events=event_parts, resend=stages.replaying.resend)
    return [
        RouteGroup(event_lists.EventListParts(listing=lookup.listing), (event_lists.router,)),
        RouteGroup(resend_parts, (event_resend.router,)),
        RouteGroup(event_parts, (event_lookup.router,)),
    ]


def _audit_group(stages: Stages, state: ApiState, connections: Connections) -> RouteGroup:
    parts = audit_log.AuditLogParts(
        log=stages.adapters.audit_log, connections=connections, state=state
    )
    return RouteGroup(parts, (audit_log.router,))


def _alert_group(stages: Stages) -> RouteGroup:
    parts = alerts.AlertParts(
        registry=stages.adapters.registry,
        book=stages.alerts.book,
        announcing=stages.alerts.announcing,
        limit_reached=stages.adapters.metrics.limit_reached,
    )
    return RouteGroup(parts, (alerts.router,))


def _health_group(stages: Stages, state: ApiState) -> RouteGroup:
    return RouteGroup(health_parts(stages, state), (health.health, health.metrics))


def _overview_group(stages: Stages) -> RouteGroup:
    adapters = stages.adapters
    parts = overview.OverviewParts(
        version=__version__,
        registry=adapters.registry,
        queues=adapters.queues,
        dead_letters=adapters.dead_letters,
        book=stages.alerts.book,
        health=stages.observability.health,
        peers=adapters.peers,
    )
    return RouteGroup(parts, (overview.router,))


def _history_group(stages: Stages) -> RouteGroup:
    parts = history.HistoryParts(registry=stages.adapters.registry, reader=stages.history.reader)
    return RouteGroup(parts, (history.router,))


def health_parts(stages: Stages, state: ApiState) -> health.HealthParts:
    """What the routes of the health and the metrics use, on both ports."""
    observability = stages.observability
    return health.HealthParts(
        version=__version__,
        state=state,
        health=observability.health,
        leader=observability.leader,
        peers=stages.adapters.peers,
        metrics=stages.adapters.metrics,
    )
