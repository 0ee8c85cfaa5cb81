"""The model of ``auth.mtls``: whose a client certificate is."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from event_gateway.config.access_values import CallerName, Scope, TypePattern
from event_gateway.config.values import MAX_LISTED, Section
from event_gateway.core.access.certificate_rule import CertificateRule, read_subject

Text = Annotated[str, Field(min_length=1, max_length=1024)]
_NAMES = ("subject", "dns", "uri", "email")


class MtlsRuleModel(Section):
    """A rule that tells which caller a client certificate belongs to. The certificate must have all
    names of the rule."""

    subject: Text | None = Field(
        None,
        description="The whole subject in the form of RFC 4514, such as `CN=orders,O=Example`.",
    )
    dns: Text | None = Field(None, description="A DNS name among the alternative names.")
    uri: Text | None = Field(
        None,
        description="A URI among the alternative names, such as "
        "`spiffe://example.com/ns/prod/sa/orders`.",
    )
    email: Text | None = Field(None, description="An email address among the alternative names.")
    name: CallerName = Field(description="The name of the caller, for people.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=16)] = Field(
        description="The scopes of the caller."
    )
    namespaces: Annotated[list[Text], Field(max_length=MAX_LISTED)] | None = Field(
        None, description="The namespaces to which the caller is limited. Default: no limit."
    )
    types: Annotated[list[TypePattern], Field(max_length=MAX_LISTED)] | None = Field(
        None,
        description="Patterns of the event types to which the caller is limited. Default: no "
        "limit.",
    )
    streams: Annotated[list[Text], Field(max_length=MAX_LISTED)] | None = Field(
        None, description="The named streams to which the caller is limited. Default: no limit."
    )

    @field_validator(*_NAMES)
    @classmethod
    def _one_star(cls, value: str | None) -> str | None:
        if value is not None and value.count("*") > 1:
            raise ValueError("has more than one *")
        return value

    @field_validator("subject")
    @classmethod
    def _is_subject(cls, value: str | None) -> str | None:
        if value is not None:
            read_subject(value)
        return value

    @field_validator("dns", "uri", "email")
    @classmethod
    def _is_no_star_alone(cls, value: str | None) -> str | None:
        if value == "*":
            raise ValueError("would be any name: write a part of it that all have")
        return value

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if all(getattr(self, name) is None for name in _NAMES):
            raise ValueError(f"needs one of {', '.join(_NAMES)}")
        return self

    def rule(self) -> CertificateRule:
        """What the core works with."""
        return CertificateRule(
            name=self.name,
            scopes=frozenset(self.scopes),
            subject=None if self.subject is None else read_subject(self.subject),
            dns=self.dns,
            uri=self.uri,
            email=self.email,
            namespaces=None if self.namespaces is None else tuple(self.namespaces),
            types=None if self.types is None else tuple(self.types),
            streams=None if self.streams is None else tuple(self.streams),
        )
