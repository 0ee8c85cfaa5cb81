"""SendGrid's event webhook: an ECDSA signature of time and body, checked with a public key.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features
"""

import base64
from typing import TYPE_CHECKING

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.checks import WRONG, check_time, header
from event_gateway.core.sources.definition import SourceDefinition, Templates
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.items import items
from event_gateway.core.sources.provider import Example, Proof, Provider, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    sent_at = header(inbound, _TIMESTAMP)
    content = sent_at.encode("utf-8", "replace") + inbound.body
    try:
        signature = base64.b64decode(header(inbound, _SIGNATURE), validate=True)
        _key(definition.settings.public_key).verify(signature, content, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        raise Refused("signature", WRONG) from None
    check_time(inbound, proof, sent_at)


def _key(text: str) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    key = load_der_public_key(base64.b64decode(text, validate=True))
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("is no key of an elliptic curve")
    return key


def _examine(definition: SourceDefinition) -> None:
    try:
        _key(definition.settings.public_key)
    except ValueError as error:
        detail = f"must be the verification key that SendGrid shows, in base64: {error}"
        raise InvalidDefinition("public_key", detail) from None


SENDGRID = Provider(
    name="sendgrid",
    title="SendGrid",
    check=_check,
    required=frozenset(("public_key",)),
    examine=_examine,
    entries=items,
    templates=Templates(
        type="sendgrid.{body.event}",
        subject="{body.email}",
        id="{body.sg_event_id|digest}",
        time="{body.timestamp}",
    ),
    timed=True,
    too_many=503,  # of 4xx SendGrid may take each for final
    example=Example(
        {"X-Twilio-Email-Event-Webhook-Timestamp": "1777863721"},
        '[{"email":"ada@example.com","event":"delivered","sg_event_id":"ZGVsaXZlcmVk",'
        '"timestamp":1777863721}]',
    ),
)
