"""Any sender that shows a client certificate."""

from functools import lru_cache

from event_gateway.core.access.certificate_rule import CertificateRule, read_subject
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import Settings, SourceDefinition
from event_gateway.core.sources.generic import EXAMPLE, TEMPLATES
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Provider, Refused


def _check(inbound: Inbound, definition: SourceDefinition, _proof: Proof) -> None:
    if inbound.certificate is None:
        raise Refused("signature", "there is no client certificate that the gateway trusts")
    settings = definition.settings
    if not _rule(settings.subject, settings.dns, settings.uri).matches(inbound.certificate):
        raise Refused("signature", "the client certificate is another one's")


@lru_cache(maxsize=256)
def _rule(subject: str, dns: str, uri: str) -> CertificateRule:
    return CertificateRule(
        name="source", scopes=frozenset(), subject=read_subject(subject) if subject else None,
        dns=dns or None, uri=uri or None,
    )  # fmt: skip


def _examine(definition: SourceDefinition) -> None:
    settings: Settings = definition.settings
    if not (settings.subject or settings.dns or settings.uri):
        raise InvalidDefinition("subject", "one of subject, dns and uri is required")
    if settings.subject:
        try:
            read_subject(settings.subject)
        except ValueError as error:
            raise InvalidDefinition("subject", str(error)) from None


MTLS = Provider(
    name="mtls",
    title="Client certificate (generic)",
    check=_check,
    optional=frozenset(("subject", "dns", "uri")),
    examine=_examine,
    templates=TEMPLATES,
    example=EXAMPLE,
)
