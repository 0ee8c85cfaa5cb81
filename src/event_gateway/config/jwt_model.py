"""The models of ``auth.jwt``: issuers of tokens, and what their claims say."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from event_gateway.config.access_values import Scope
from event_gateway.config.values import MAX_LISTED, Duration, Section
from event_gateway.core.access.issuer import ClaimRule, Issuer
from event_gateway.core.access.verification_keys import PUBLIC_KEY, SHARED_SECRET
from event_gateway.core.text.endpoint_url import parse_endpoint_url

Text = Annotated[str, Field(min_length=1, max_length=512)]


def listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _url(value: str) -> str:
    parse_endpoint_url(value)
    return value


LISTED = WithJsonSchema(
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)


class ClaimModel(Section):
    """The claim that limits the caller."""

    claim: Text = Field(
        description="The name of the claim, or a path such as `realm_access.roles`. The value "
        "of the claim is a list, or a text with spaces between the values."
    )
    map: dict[Text, list[Text]] | None = Field(
        None,
        max_length=MAX_LISTED,
        description="What each value of the claim stands for. The gateway ignores other values.",
    )


class ScopesClaimModel(Section):
    """The claim with the scopes of the caller."""

    claim: Text = Field(
        "scope",
        description="The name of the claim, or a path such as `realm_access.roles`. The value "
        "of the claim is a list, or a text with spaces between the values.",
    )
    map: dict[Text, list[Scope]] | None = Field(
        None,
        max_length=MAX_LISTED,
        description="The scopes that each value of the claim stands for. The gateway ignores "
        "other values. Default: the values are the names of scopes.",
    )


class NameClaimModel(Section):
    """The claim with the name of the caller, for people."""

    claim: Text = Field("sub", description="The name of the claim, or a path.")


class IssuerModel(Section):
    """An issuer of tokens. The gateway takes its keys from its discovery document
    (`/.well-known/openid-configuration`), unless `jwks_url`, `keys` or `secret_name` is set."""

    issuer: Text = Field(description="The exact value of the claim `iss` in its tokens.")
    audience: Annotated[
        list[Text], BeforeValidator(listed), Field(min_length=1, max_length=16), LISTED
    ] = Field(
        description="The value of the claim `aud` in tokens for this gateway, or a list of such "
        "values."
    )
    jwks_url: Annotated[str, AfterValidator(_url)] | None = Field(
        None, description="The URL of its JSON Web Key Set."
    )
    keys: Annotated[list[Text], BeforeValidator(listed), Field(max_length=16), LISTED] = Field(
        [],
        description="Files with its public keys, relative to `secrets.dir`: a JSON Web Key Set, "
        "or PEM.",
    )
    secret_name: Text | None = Field(
        None,
        description="The name of the secret that the issuer shares with the gateway, for HS256, "
        "HS384 and HS512.",
    )
    algorithms: (
        Annotated[
            list[Literal[(*PUBLIC_KEY, *SHARED_SECRET)]],  # type: ignore[valid-type]
            Field(min_length=1),
        ]
        | None
    ) = Field(
        None,
        description="The algorithms with which it may sign. Default: RS256 to RS512, PS256 to "
        "PS512, ES256 to ES512, EdDSA and Ed25519; with `secret_name` HS256 to HS512.",
    )
    leeway: Annotated[Duration, Field(le=600)] = Field(
        60.0, description="The tolerated difference between its clock and that of the gateway."
    )
    keep_keys: Annotated[Duration, Field(ge=60, le=30 * 86400)] = Field(
        86400.0,
        description="How long the gateway uses the keys that it has fetched while it cannot "
        "fetch them again.",
    )
    scopes: ScopesClaimModel = Field(
        ScopesClaimModel(), description="The claim with the scopes of the caller."
    )
    namespaces: ClaimModel | None = Field(
        None,
        description="The claim with the namespaces to which the caller is limited; `*` among "
        "them stands for all. A token without the claim gives access to no namespace.",
    )
    types: ClaimModel | None = Field(
        None,
        description="The claim with patterns of the event types to which the caller is limited. "
        "A token without the claim gives access to no event type.",
    )
    streams: ClaimModel | None = Field(
        None,
        description="The claim with the named streams to which the caller is limited. A token "
        "without the claim gives access to no stream.",
    )
    name: NameClaimModel = Field(
        NameClaimModel(), description="The claim with the name of the caller, for people."
    )

    @field_validator("jwks_url", "keys", "secret_name")
    @classmethod
    def _one_source(cls, value: Any, info: ValidationInfo) -> Any:
        others = [name for name in ("jwks_url", "keys", "secret_name") if info.data.get(name)]
        if value and others:
            raise ValueError(f"excludes {others[0]}: an issuer has one source of keys")
        return value

    @field_validator("algorithms")
    @classmethod
    def _algorithms(cls, value: list[str] | None, info: ValidationInfo) -> list[str] | None:
        shared = info.data.get("secret_name") is not None
        fitting = SHARED_SECRET if shared else PUBLIC_KEY
        for name in value or ():
            if name not in fitting:
                kind = "a shared secret" if shared else "public keys"
                raise ValueError(f"{name} is no algorithm for {kind}: {', '.join(fitting)}")
        return value

    @model_validator(mode="after")
    def _discovery(self) -> Self:
        if self.jwks_url is None and not self.keys and self.secret_name is None:
            try:
                parse_endpoint_url(self.issuer)
            except ValueError as error:
                raise ValueError(
                    "has none of jwks_url, keys and secret_name, and its issuer is no URL below "
                    f"which a discovery document can be: it {error}"
                ) from None
        return self

    def settings(self) -> Issuer:
        """What the core works with."""
        algorithms = PUBLIC_KEY if self.secret_name is None else SHARED_SECRET
        return Issuer(
            name=self.issuer,
            audience=frozenset(self.audience),
            algorithms=frozenset(self.algorithms or algorithms),
            leeway=self.leeway,
            scopes=_rule(self.scopes),
            caller_name=self.name.claim,
            namespaces=None if self.namespaces is None else _rule(self.namespaces),
            types=None if self.types is None else _rule(self.types),
            streams=None if self.streams is None else _rule(self.streams),
            jwks_url=self.jwks_url,
            key_files=tuple(self.keys),
            secret_name=self.secret_name,
            keep_keys=self.keep_keys,
        )


def _rule(model: ClaimModel | ScopesClaimModel) -> ClaimRule:
    values = None
    if model.map is not None:
        values = tuple((value, tuple(meant)) for value, meant in model.map.items())
    return ClaimRule(model.claim, values)
