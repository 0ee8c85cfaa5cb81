"""Any sender that shows user and password (RFC 7617)."""

import base64
import hmac

from event_gateway.core.sources.checks import check_shared
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.generic import EXAMPLE, TEMPLATES
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Provider, Refused


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    scheme, _, encoded = inbound.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Refused("signature", "there is no basic authentication")
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode()
    except ValueError:  # also raised for text that is not ASCII, and for bytes that are not UTF-8
        raise Refused("signature", "the basic authentication is not valid") from None
    user, _, password = pair.partition(":")
    same = hmac.compare_digest(user.encode(), definition.settings.username.encode())
    check_shared(proof, password, "the password")
    if not same:
        raise Refused("signature", "the user is wrong")


BASIC = Provider(
    name="basic",
    title="Basic authentication (generic)",
    check=_check,
    required=frozenset(("secret_name", "username")),
    templates=TEMPLATES,
    credentials=("authorization",),
    example=EXAMPLE,
)
