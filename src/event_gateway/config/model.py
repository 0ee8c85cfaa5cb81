"""The configuration file, key by key. What has no value takes the core's default."""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from event_gateway.core.filter import ALL_OPERATORS
from event_gateway.core.security import API_KEY_HEADER, AUTH_TYPES, CLIENT_AUTH
from event_gateway.core.units import parse_duration, parse_size
from event_gateway.core.webhook import BACKOFFS

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a duration, for example 30s, 5m or 7d")
    return parse_duration(value if isinstance(value, str) else str(value))


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


def _at_least_a_minute(value: float) -> float:
    if value < 60:
        raise ValueError("must be at least 1m")
    return value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Field(ge=0),
    WithJsonSchema({"type": "string", "examples": ["30s", "5m", "1h30m", "7d", "2y", "PT5M"]}),
]
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=1),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}],
         "examples": ["64KiB", "1MiB", "10GB"]}
    ),
]  # fmt: skip


def _check_server_url(url: str, schemes: tuple[str, ...]) -> None:
    """Raises ValueError without ever repeating the URL, which may hold a password."""
    wanted = f"must begin with {', '.join(f'{scheme}://' for scheme in schemes)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"is no URL: {wanted}, and its port must be a number") from None
    if parts.scheme not in schemes:
        raise ValueError(wanted)
    if parts.scheme == "unix":
        if not parts.path:
            raise ValueError("names no socket")
    elif not parts.hostname or port == 0:
        raise ValueError("names no host")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FilterModel(_Section):
    """A condition on an event."""

    field: str = Field(description="An attribute, an extension, or a path: data.namespace.")
    operator: str = Field(
        description=f"{', '.join(ALL_OPERATORS)}.", json_schema_extra={"enum": [*ALL_OPERATORS]}
    )
    value: Any = Field(None, description="What the field is compared with.")

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if self.operator != "exists" and "value" not in self.model_fields_set:
            raise ValueError(f"{self.operator} needs a value")
        return self


class RetryPolicyModel(_Section):
    """How often and when an attempt is repeated."""

    max_attempts: int | None = Field(
        None, description="Attempts in all; 3 by default, with a schedule one more than its delays."
    )
    backoff: str | None = Field(
        None,
        description="exponential (default), linear or fixed.",
        json_schema_extra={"enum": [*BACKOFFS]},
    )
    initial_delay: Duration | None = Field(None, description="Before the second attempt; 1s.")
    multiplier: Annotated[float, Field(strict=False)] | None = Field(
        None, description="By how much an exponential delay grows; 2."
    )
    max_delay: Duration | None = Field(None, description="The longest delay; 1h.")
    schedule: Annotated[list[Duration], Field(min_length=1)] | None = Field(
        None, description="The delays one by one, in place of backoff; the last one is repeated."
    )
    jitter: Annotated[float, Field(strict=False)] | None = Field(
        None, description="What part of a delay may be added to it at random, 0 to 1; 0."
    )
    max_age: Duration | None = Field(
        None,
        description="For how long after its receipt an event is delivered; "
        "by default, and at most, 80% of ingest.retention.",
    )


class RateLimitModel(_Section):
    """How many attempts may begin in a period, all processes together."""

    events: int = Field(description="Attempts in each period.")
    per: Duration | None = Field(None, description="The period; 1s.")


class CircuitBreakerModel(_Section):
    """When to leave a receiver alone that only fails."""

    failure_threshold: int | None = Field(
        None, description="Failed attempts in a row until it opens; 5."
    )
    open_for: Duration | None = Field(
        None, description="How long no attempt is made, before one finds out; 30s."
    )


class OrderedModel(_Section):
    """Of which events the order is kept."""

    by: Annotated[str, Field(min_length=1)] = Field(
        description="An attribute or a path (data.account): order is kept where it is equal."
    )


class SecurityModel(_Section):
    """One way to authenticate to a receiver."""

    auth_type: str = Field(
        description=f"none, {', '.join(AUTH_TYPES[:-1])} or {AUTH_TYPES[-1]}.",
        json_schema_extra={"enum": ["none", *AUTH_TYPES]},
    )
    secret_name: str | None = Field(None, description="The name of the secret, never its value.")
    header: str | None = Field(
        None, description=f"api_key: the header it goes into; {API_KEY_HEADER}."
    )
    username: str | None = Field(
        None, description="basic: the user; without it the secret is user:password."
    )
    token_url: str | None = Field(
        None, description="oauth2_client_credentials: where tokens are fetched."
    )
    client_id: str | None = Field(
        None, description="oauth2_client_credentials: who the gateway is there."
    )
    scope: str | None = Field(
        None, description="oauth2_client_credentials: what is asked for, separated by spaces."
    )
    client_auth: str | None = Field(
        None,
        description="oauth2_client_credentials: basic (default) sends id and secret in a header, "
        "body in the form.",
        json_schema_extra={"enum": [*CLIENT_AUTH]},
    )
    cert: str | None = Field(
        None, description="mtls: the client certificate, a PEM file; relative to secrets.dir."
    )
    key: str | None = Field(
        None, description="mtls: its private key, a PEM file; secret_name is that of its password."
    )
    ca: str | None = Field(
        None, description="mtls: the authorities that the receiver may have its certificate of."
    )


class WebhookModel(_Section):
    """A receiver of events."""

    url: str = Field(description="Where events are posted to.")
    events: list[str] = Field(description="Patterns on the event's type: * one token, > the rest.")
    filters: list[FilterModel] = Field([], description="All must hold.")
    namespaces: list[str] = Field([], description="Values of data.namespace; empty: any.")
    sources: list[str] = Field([], description="Sources; empty: any.")
    transformation: str | None = Field(None, description="standard (default) or analytics_format.")
    retry_policy: RetryPolicyModel = Field(RetryPolicyModel(), description="When to try again.")
    timeout: Duration | None = Field(None, description="For a whole attempt; 15s.")
    concurrency: int | None = Field(None, description="Attempts at once; 32.")
    rate_limit: RateLimitModel | None = Field(None, description="By default none.")
    circuit_breaker: CircuitBreakerModel = Field(
        CircuitBreakerModel(), description="When to leave the receiver alone."
    )
    disable_after: Duration | None = Field(
        None, description="After how long of nothing but failures it is disabled; 5d."
    )
    ordered: bool | OrderedModel = Field(
        False, description="true delivers in the order of the log, one at a time."
    )
    verify: bool = Field(
        False, description="true asks the receiver before the first delivery whether it agrees."
    )
    headers: dict[str, str] = Field({}, description="Headers added to each request.")
    enrich: bool | None = Field(None, description="Whether data.enrichment is added; true.")
    security: Annotated[list[SecurityModel], BeforeValidator(_one_or_more)] = Field(
        [], description="How the gateway authenticates; a list combines several ways."
    )
    enabled: bool | None = Field(
        None, description="Whether it delivers; true. While not, its events wait in its queue."
    )
    description: str | None = Field(None, max_length=1000, description="For people.")
    metadata: dict[str, Any] = Field({}, description="Yours; the gateway only keeps it.")


class StreamModel(_Section):
    """A named stream for live subscribers."""

    subjects: list[str] = Field(description="Patterns of the subjects that go into it.")
    retention: Duration | None = Field(None, description="For how long events are kept.")
    max_messages: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many are kept; the oldest go first."
    )
    max_bytes: Size | None = Field(None, description="How many bytes are kept.")
    compliance: bool = Field(False, description="Nothing in it can be deleted or purged.")


class ServerModel(_Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8080, description="0 takes a free one.")
    max_body: Size = Field(1024 * 1024, description="The largest request body, in bytes.")
    drain_timeout: Duration = Field(
        20.0,
        description="How long running attempts may go on when the gateway is told to end.",
    )


class NatsModel(_Section):
    """NATS JetStream."""

    url: str | None = Field(None, repr=False, description="Your NATS; without it one is started.")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        for one in (value or "").split(",") if value is not None else ():
            _check_server_url(one.strip(), ("nats", "tls", "ws", "wss"))
        return value


class RedisModel(_Section):
    """Redis or Valkey."""

    url: str | None = Field(
        None, repr=False, description="Your Redis or Valkey; without it one is started."
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        if value is not None:
            _check_server_url(value, ("redis", "rediss", "unix"))
        return value


class IngestModel(_Section):
    """The events log."""

    subjects: list[str] | None = Field(
        None, description="NATS subjects that are captured; by default the original domains and "
        "the root of every pattern in webhooks and streams."
    )  # fmt: skip
    retention: Annotated[Duration, AfterValidator(_at_least_a_minute)] = Field(
        7 * 86400.0, description="For how long the log keeps events; at least 1m."
    )
    max_bytes: Size | None = Field(None, description="At this size the log refuses new events.")
    streams: list[str] = Field(
        [],
        description="JetStream streams of yours that are read, instead of capturing.",
    )


class SecretsModel(_Section):
    """Where secrets are found by name."""

    env_prefix: str = Field("EVENT_GATEWAY_SECRET_", description="Before the name, upper-cased.")
    dir: str = Field("/run/secrets", description="A folder with a file for each secret.")


class ProxyModel(_Section):
    """A forward proxy through which all that the gateway sends to receivers is tunnelled."""

    url: str = Field(
        repr=False,
        description="http://USER:PASSWORD@HOST:PORT, user and password percent-encoded, "
        "or without them.",
    )
    resolve: Literal["gateway", "proxy"] = Field(
        "gateway", description="Who looks up receivers' names; only what the gateway looks up "
        "can it check."
    )  # fmt: skip

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if any(not 0x20 < ord(character) < 0x7F for character in value):
            raise ValueError("holds a space, a control or a non-ASCII character")
        _check_server_url(value, ("http",))
        parts = urlsplit(value)
        if parts.path not in ("", "/") or parts.query or parts.fragment or value[-1] in "?#":
            raise ValueError("is not http://USER:PASSWORD@HOST:PORT; percent-encode the password")
        return value


class DeliveryModel(_Section):
    """Deliveries, and what else the gateway sends to others on their behalf."""

    allow_networks: list[str] = Field(
        [], description="Private networks (CIDR) that receivers may be in, also with plain http."
    )
    allow_http: bool = Field(
        False, description="Plain http to everywhere, in place of https alone."
    )
    allow_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [], description="The only ports to send to; by default all but those of other protocols."
    )
    proxy: ProxyModel | None = Field(None, description="By default none.")
    origin: str = Field(
        "event-gateway",
        description="The DNS name by which receivers of webhooks with verify know this gateway.",
    )

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for text in value:
            ip_network(text)
        return value

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        if len(value) > 253 or _DNS_NAME.fullmatch(value) is None:
            raise ValueError("must be a DNS name, for example events.example.com")
        return value


class Config(_Section):
    """The whole file."""

    webhooks: dict[str, WebhookModel] = Field({}, description="Receivers by id.")
    streams: dict[str, StreamModel] = Field({}, description="Named streams.")
    server: ServerModel = ServerModel()
    nats: NatsModel = NatsModel()
    redis: RedisModel = RedisModel()
    ingest: IngestModel = IngestModel()
    secrets: SecretsModel = SecretsModel()
    delivery: DeliveryModel = DeliveryModel()
