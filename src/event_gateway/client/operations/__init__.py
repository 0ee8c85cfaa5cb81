"""The operations of the API, in a module for each of its tags.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from event_gateway.client.operations.alerts import AlertsOperations, AsyncAlertsOperations
from event_gateway.client.operations.audit_log import AsyncAuditLogOperations, AuditLogOperations
from event_gateway.client.operations.compliance import (
    AsyncComplianceOperations,
    ComplianceOperations,
)
from event_gateway.client.operations.configuration import (
    AsyncConfigurationOperations,
    ConfigurationOperations,
)
from event_gateway.client.operations.dead_letters import (
    AsyncDeadLettersOperations,
    DeadLettersOperations,
)
from event_gateway.client.operations.deliveries import (
    AsyncDeliveriesOperations,
    DeliveriesOperations,
)
from event_gateway.client.operations.event_types import (
    AsyncEventTypesOperations,
    EventTypesOperations,
)
from event_gateway.client.operations.events import AsyncEventsOperations, EventsOperations
from event_gateway.client.operations.health import AsyncHealthOperations, HealthOperations
from event_gateway.client.operations.history import AsyncHistoryOperations, HistoryOperations
from event_gateway.client.operations.keys import AsyncKeysOperations, KeysOperations
from event_gateway.client.operations.matching import AsyncMatchingOperations, MatchingOperations
from event_gateway.client.operations.rejected import AsyncRejectedOperations, RejectedOperations
from event_gateway.client.operations.repair import AsyncRepairOperations, RepairOperations
from event_gateway.client.operations.replays import AsyncReplaysOperations, ReplaysOperations
from event_gateway.client.operations.secrets import AsyncSecretsOperations, SecretsOperations
from event_gateway.client.operations.sources import AsyncSourcesOperations, SourcesOperations
from event_gateway.client.operations.streams import AsyncStreamsOperations, StreamsOperations
from event_gateway.client.operations.transformations import (
    AsyncTransformationsOperations,
    TransformationsOperations,
)
from event_gateway.client.operations.webhooks import AsyncWebhooksOperations, WebhooksOperations


class Operations(
    AlertsOperations,
    AuditLogOperations,
    ComplianceOperations,
    ConfigurationOperations,
    DeadLettersOperations,
    DeliveriesOperations,
    EventTypesOperations,
    EventsOperations,
    HealthOperations,
    HistoryOperations,
    KeysOperations,
    MatchingOperations,
    RejectedOperations,
    RepairOperations,
    ReplaysOperations,
    SecretsOperations,
    SourcesOperations,
    StreamsOperations,
    TransformationsOperations,
    WebhooksOperations,
):
    """A method for each operation of the API, named after its id."""


class AsyncOperations(
    AsyncAlertsOperations,
    AsyncAuditLogOperations,
    AsyncComplianceOperations,
    AsyncConfigurationOperations,
    AsyncDeadLettersOperations,
    AsyncDeliveriesOperations,
    AsyncEventTypesOperations,
    AsyncEventsOperations,
    AsyncHealthOperations,
    AsyncHistoryOperations,
    AsyncKeysOperations,
    AsyncMatchingOperations,
    AsyncRejectedOperations,
    AsyncRepairOperations,
    AsyncReplaysOperations,
    AsyncSecretsOperations,
    AsyncSourcesOperations,
    AsyncStreamsOperations,
    AsyncTransformationsOperations,
    AsyncWebhooksOperations,
):
    """A coroutine for each operation of the API, named after its id."""
