"""Stripe: ``Stripe-Signature`` has the time and HMACs of time and body.

https://docs.stripe.com/webhooks#verify-manually
"""

from event_gateway.core.sources.checks import check_hmac, check_time, header, pairs
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Example, Proof, Provider


def _check(inbound: Inbound, _definition: SourceDefinition, proof: Proof) -> None:
    parts = pairs(header(inbound, "stripe-signature"), ",")
    sent_at = dict(parts).get("t", "")
    signatures = [value for name, value in parts if name == "v1"]
    check_hmac(proof, f"{sent_at}.".encode() + inbound.body, signatures)
    check_time(inbound, proof, sent_at)


STRIPE = Provider(
    name="stripe",
    title="Stripe",
    check=_check,
    required=frozenset(("secret_name",)),
    templates=Templates(
        type="stripe.{body.type}",
        subject="{body.data.object.id}",
        id="{body.id}",
        time="{body.created}",
    ),
    timed=True,
    example=Example(
        {},
        '{"id":"evt_1","object":"event","created":1777863721,"type":"invoice.paid",'
        '"data":{"object":{"id":"in_1"}}}',
    ),
)
