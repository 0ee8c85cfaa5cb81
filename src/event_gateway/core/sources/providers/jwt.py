"""Any sender that shows a JSON Web Token (RFC 7519) of an issuer."""

from event_gateway.core.sources.bearer import check_bearer, check_urls
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.generic import EXAMPLE, TEMPLATES
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Provider


def _check(inbound: Inbound, definition: SourceDefinition, proof: Proof) -> None:
    check_bearer(inbound, definition, proof)


JWT = Provider(
    name="jwt",
    title="Token of an issuer (generic)",
    check=_check,
    required=frozenset(("issuer", "audience", "jwks_url")),
    optional=frozenset(("email",)),
    examine=check_urls,
    templates=TEMPLATES,
    credentials=("authorization",),
    example=EXAMPLE,
)
