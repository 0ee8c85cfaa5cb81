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
    """Templates of the attributes of the events; by default those of the provider. `{header-name}`
    is a header of the request, `{body.a.b}` a member of its body, `{query.a}` a parameter of its
    query string, `{name}` the name of the source, `{digest}` the SHA-256 of the body, `{'text'}`
    the text, and `{a|b}` the first of them that there is."""

    type: TemplateText | None = Field(None, description="The event type.")
    subject: TemplateText | None = Field(
        None, description="The subject; events have none where what it names is missing."
    )
    id: TemplateText | None = Field(
        None,
        description="The id, which must be the same when the provider sends the delivery again.",
    )
    time: TemplateText | None = Field(
        None, description="The time: RFC 3339, or seconds or milliseconds since the epoch."
    )
    source: TemplateText | None = Field(
        None, description="The source attribute; the name of the source."
    )


class SourceModel(Section):
    """Takes in the webhooks of a third party at `POST /v1/sources/{name}`. Which of the settings
    a type takes, and requires, the guide on sources tells."""

    type: str = Field(
        description="The provider: " + ", ".join(f"`{name}`" for name in PROVIDERS) + ".",
        max_length=64,
    )
    secret_name: Text | None = Field(
        None, description="The secret with which the provider signs, or that it shows."
    )
    header: Text | None = Field(None, description="The header with the signature or the key.")
    query: Text | None = Field(None, description="The parameter of the query string with the key.")
    algorithm: Text | None = Field(
        None, description="Of an HMAC: sha256 (default), sha1 or sha512."
    )
    encoding: Text | None = Field(None, description="Of an HMAC: hex (default) or base64.")
    prefix: Text | None = Field(
        None, description="What is before the signature in its header, such as `sha256=`."
    )
    signed: Text | None = Field(
        None,
        description="What an HMAC signs: a text with `{body}`, `{header-name}`, `{url}`, "
        "`{target}` or `{method}`; by default `{body}`.",
    )
    timestamp: Text | None = Field(
        None, description="The header with the signed time, which signed must contain."
    )
    username: Text | None = Field(None, description="The user of basic authentication.")
    public_key: Text | None = Field(
        None, description="The key that checks signatures, as the provider shows it."
    )
    url: Text | None = Field(
        None,
        description="The URL that the provider calls, where its signature covers it; by default "
        "that of the request.",
    )
    topics: (
        Annotated[
            list[Text],
            BeforeValidator(listed),
            Field(min_length=1, max_length=MAX_TOPICS),
            LISTED,
        ]
        | None
    ) = Field(None, description="The ARNs of the topics of AWS SNS that may send.")
    issuer: Text | None = Field(None, description="The claim iss of tokens.")
    audience: Text | None = Field(None, description="The claim aud of tokens.")
    jwks_url: Text | None = Field(None, description="The URL of the issuer's JSON Web Key Set.")
    email: Text | None = Field(None, description="The claim email of tokens.")
    subject: Text | None = Field(
        None, description="The subject of client certificates, as RFC 4514 writes it."
    )
    dns: Text | None = Field(
        None, description="A DNS name in client certificates; a `*` stands for a label."
    )
    uri: Text | None = Field(None, description="A URI in client certificates.")
    event: SourceEventModel = SourceEventModel()
    tolerance: Duration | None = Field(
        None,
        description="How far the signed time may be from the gateway's; by default 5m, and 65m of "
        "`aws_sns`.",
    )
    keep_refused: bool = Field(
        False, description="Whether refused requests are stored: `GET /v1/rejected` lists them."
    )
    enabled: bool = Field(
        True, description="Whether requests are taken. While false, they are answered with 503."
    )
    description: str | None = Field(None, max_length=MAX_DESCRIPTION, description="For people.")
