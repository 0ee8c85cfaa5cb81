"""CloudEvents from a sender that asks for permission first (abuse protection).

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md
"""

from event_gateway.core.sources.cloud_events import check_key, cloud_events, one_place
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider, Refused

QUERY = "access_token"


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    check_key(inbound, definition, proof, QUERY)


def _may_ask(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> bool:
    """A request for permission that has the source's secret is from the expected sender."""
    try:
        check_key(inbound, definition, proof, QUERY)
    except Refused:
        return False
    return True


CLOUDEVENTS = Provider(
    name="cloudevents",
    title="CloudEvents",
    check=_check,
    required=frozenset(("secret_name",)),
    optional=frozenset(("header", "query")),
    examine=one_place,
    entries=cloud_events,
    handshake=_may_ask,
    templates=Templates(),
    credentials=("authorization",),
    example=Example(
        {},
        '{"specversion":"1.0","id":"1","source":"shop","type":"order.placed","data":{"total":1}}',
        "application/cloudevents+json",
    ),
)
