"""Azure Event Grid, in its own schema and in CloudEvents.

https://learn.microsoft.com/en-us/azure/event-grid/end-point-validation-event-grid-events-schema
https://learn.microsoft.com/en-us/azure/event-grid/end-point-validation-cloud-events-schema
"""

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.bearer import check_bearer, check_urls
from event_gateway.core.sources.cloud_events import check_key, cloud_events, one_place
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound, compact
from event_gateway.core.sources.items import items
from event_gateway.core.sources.provider import Answer, Entry, Example, Proof, Provider, Refused

QUERY = "code"
_VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
_TOKEN = ("issuer", "audience", "jwks_url")


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    if definition.settings.secret_name:
        check_key(inbound, definition, proof, QUERY)
    else:
        check_bearer(inbound, definition, proof)


def _may_ask(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> bool:
    """With a key in the URL the request for permission has it; else the origin is Azure's."""
    if definition.settings.secret_name and not definition.settings.header:
        try:
            check_key(inbound, definition, proof, QUERY)
        except Refused:
            return False
        return True
    return inbound.headers.get("webhook-request-origin") == "eventgrid.azure.net"


def _entries(inbound: Inbound) -> list[Entry]:
    if inbound.media_type.startswith("application/cloudevents"):
        return cloud_events(inbound)
    return items(inbound)


def _validate(inbound: Inbound) -> Answer | None:
    content = inbound.content
    if not isinstance(content, list) or len(content) != 1 or not isinstance(content[0], dict):
        return None
    event = content[0]
    if event.get("eventType") != _VALIDATION:
        return None
    data = event.get("data")
    code = data.get("validationCode") if isinstance(data, dict) else None
    if not isinstance(code, str):
        raise Refused("malformed", "the validation event has no validationCode")
    return Answer(compact({"validationResponse": code}))


def _examine(definition: SourceDefinition) -> None:
    one_place(definition)
    settings = definition.settings
    tokens = [name for name in _TOKEN if getattr(settings, name)]
    if bool(settings.secret_name) == bool(tokens):
        detail = f"either it, or {', '.join(_TOKEN)} are required"
        raise InvalidDefinition("secret_name", detail)
    for name in _TOKEN if tokens else ():
        if not getattr(settings, name):
            raise InvalidDefinition(name, "is required for tokens of Entra")
    check_urls(definition)


AZURE_EVENT_GRID = Provider(
    name="azure_event_grid",
    title="Azure Event Grid",
    check=_check,
    optional=frozenset(("secret_name", "header", "query", *_TOKEN)),
    examine=_examine,
    answer=_validate,
    entries=_entries,
    handshake=_may_ask,
    templates=Templates(
        type="{body.eventType}",
        subject="{body.subject}",
        id="{body.id}",
        time="{body.eventTime}",
    ),
    credentials=("authorization",),
    example=Example(
        {"aeg-event-type": "Notification"},
        '[{"id":"831e1650","topic":"/subscriptions/s","subject":"/blobServices/default/new.txt",'
        '"eventType":"Microsoft.Storage.BlobCreated","eventTime":"2026-05-04T03:02:01.123Z",'
        '"data":{"api":"PutBlob"},"dataVersion":""}]',
    ),
)
