"""Linear: ``Linear-Signature`` is an HMAC of the body, which has the time.

https://linear.app/developers/webhooks#securing-webhooks
"""

from event_gateway.core.sources.checks import check_hmac, check_time, header
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    check_hmac(proof, inbound.body, [header(inbound, "linear-signature")])
    content = inbound.content
    sent_at = content.get("webhookTimestamp", "") if isinstance(content, dict) else ""
    check_time(inbound, proof, str(sent_at))


LINEAR = Provider(
    name="linear",
    title="Linear",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="linear.{body.type}.{body.action|'received'}",
        subject="{body.data.identifier|body.data.id}",
        id="{linear-delivery}",
        time="{body.createdAt|body.webhookTimestamp}",
    ),
    timed=True,
    example=Example(
        {"Linear-Delivery": "234d1a4e-b617-4388-90fe-adc3633d6b72", "Linear-Event": "Issue"},
        '{"action":"create","type":"Issue","createdAt":"2026-05-04T03:02:01.123Z",'
        '"data":{"id":"2174add1","identifier":"ENG-1"},"webhookTimestamp":1777863721000}',
    ),
)
