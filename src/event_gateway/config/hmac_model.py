"""The model of ``auth.hmac``: clients that sign their requests."""

from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from event_gateway.config.access_values import CallerName, Scope, TypePattern
from event_gateway.config.jwt_model import LISTED, listed
from event_gateway.config.values import MAX_LISTED, Section
from event_gateway.core.webhook.signing_keys import PUBLIC, checker

MAX_PUBLIC_KEYS = 3
Text = Annotated[str, Field(min_length=1, max_length=512)]


def _public_key(value: str) -> str:
    if not value.startswith(PUBLIC):
        raise ValueError(f"a public key begins with {PUBLIC}; a secret is named by secret_name")
    checker(value)
    return value


class HmacClientModel(Section):
    """A client that signs its requests as Standard Webhooks defines, and sends the name of this
    entry as `webhook-key-id`."""

    secret_name: Text | None = Field(
        None,
        description="The name of the secret with its signing key (`whsec_…`), or with several "
        "during a rotation.",
    )
    public_keys: Annotated[
        list[Annotated[str, AfterValidator(_public_key)]],
        BeforeValidator(listed),
        Field(max_length=MAX_PUBLIC_KEYS),
        LISTED,
    ] = Field([], description="Its public keys (`whpk_…`), if it signs with Ed25519.")
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=16)] = Field(
        description="The scopes of the client."
    )
    namespaces: Annotated[list[Text], Field(max_length=MAX_LISTED)] | None = Field(
        None, description="The namespaces to which the client is limited. Default: no limit."
    )
    types: Annotated[list[TypePattern], Field(max_length=MAX_LISTED)] | None = Field(
        None,
        description="Patterns of the event types to which the client is limited. Default: no "
        "limit.",
    )
    streams: Annotated[list[Text], Field(max_length=MAX_LISTED)] | None = Field(
        None, description="The named streams to which the client is limited. Default: no limit."
    )
    name: CallerName | None = Field(
        None, description="The name of the caller, for people. Default: that of this entry."
    )

    @model_validator(mode="after")
    def _has_a_key(self) -> Self:
        if self.secret_name is None and not self.public_keys:
            raise ValueError("needs secret_name or public_keys")
        return self
