"""The model of ``sources``: inbound webhooks of third parties."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from event_gateway.config.jwt_model import LISTED, listed
from event_gateway.config.values import Duration, Section
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import MAX_DESCRIPTION, MAX_SETTING, MAX_TOPICS
from event_gateway.core.sources.template import MAX_TEMPLATE

Text = Annotated[str, Field(min_length=1, max_length=MAX_SETTING)]
TemplateText = Annotated[str, Field(min_length=1, max_length=MAX_TEMPLATE)]


class SourceEventModel(Section):
    """Templates of the attributes of the events. Default: those of the provider. In a template,
    `{header-name}` is a header of the request, `{body.a.b}` a member of its body, `{query.a}` a
    parameter of its query string, `{name}` the name of the source, `{digest}` the SHA-256 of the
    body, `{'text'}` a constant text, and `{a|b}` the first of several that has a value."""

    type: TemplateText | None = Field(None, description="The event type.")
    subject: TemplateText | None = Field(
        None, description="The subject. Events have none if the template has no value."
    )
    id: TemplateText | None = Field(
        None,
        description="The id. It must be the same when the provider sends the delivery again.",
    )
    time: TemplateText | None = Field(
        None, description="The time: RFC 3339, or seconds or milliseconds since the epoch."
    )
    source: TemplateText | None = Field(
        None, description="The source. Default: the name of the source."
    )


class SourceModel(Section):
    """A source, which takes in the webhooks of a third party at `POST /v1/sources/{name}`. The
    guide on sources tells which settings each type takes and requires."""

    type: str = Field(
        description="The provider: " + ", ".join(f"`{name}`" for name in PROVIDERS) + ".",
        max_length=64,
    )
    secret_name: Text | None = Field(
        None, description="The name of the secret with which the provider signs, or which it sends."
    )
    header: Text | None = Field(None, description="The header with the signature or the key.")
    query: Text | None = Field(None, description="The parameter of the query string with the key.")
    algorithm: Text | None = Field(
        None, description="HMAC: `sha256`, `sha1` or `sha512`. Default: `sha256`."
    )
    encoding: Text | None = Field(None, description="HMAC: `hex` or `base64`. Default: `hex`.")
    prefix: Text | None = Field(
        None, description="The text before the signature in its header, such as `sha256=`."
    )
    signed: Text | None = Field(
        None,
        description="HMAC: the text that is signed, with `{body}`, `{header-name}`, `{url}`, "
        "`{target}` or `{method}`. Default: `{body}`.",
    )
    timestamp: Text | None = Field(
        None, description="The header with the signed time. `signed` must contain it."
    )
    username: Text | None = Field(None, description="The user name of basic authentication.")
    public_key: Text | None = Field(
        None,
        description="The key with which the gateway checks signatures, in the form that the "
        "provider shows.",
    )
    url: Text | None = Field(
        None,
        description="The URL that the provider calls, if its signature covers the URL. Default: "
        "the URL of the request.",
    )
    topics: (
        Annotated[
            list[Text],
            BeforeValidator(listed),
            Field(min_length=1, max_length=MAX_TOPICS),
            LISTED,
        ]
        | None
    ) = Field(None, description="`aws_sns`: the ARNs of the topics that may send.")
    issuer: Text | None = Field(None, description="The claim `iss` of tokens.")
    audience: Text | None = Field(None, description="The claim `aud` of tokens.")
    jwks_url: Text | None = Field(None, description="The URL of the issuer's JSON Web Key Set.")
    email: Text | None = Field(None, description="The claim `email` of tokens.")
    subject: Text | None = Field(
        None, description="The subject of client certificates, in the form of RFC 4514."
    )
    dns: Text | None = Field(
        None, description="A DNS name in client certificates. `*` stands for one label."
    )
    uri: Text | None = Field(None, description="A URI in client certificates.")
    event: SourceEventModel = SourceEventModel()
    tolerance: Duration | None = Field(
        None,
        description="The largest difference between the signed time and the gateway's clock. "
        "Default: 5m, and 65m for `aws_sns`.",
    )
    keep_refused: bool = Field(
        False,
        description="Whether the gateway stores refused requests. `GET /v1/rejected` lists them.",
    )
    enabled: bool = Field(
        True,
        description="Whether the source takes requests. While it is `false`, the gateway "
        "answers them with 503.",
    )
    description: str | None = Field(
        None, max_length=MAX_DESCRIPTION, description="A text for people."
    )
