"""The configuration file, key by key. What has no value takes the core's default."""

from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from event_gateway.core.units import parse_duration, parse_size


def _parsed(parse: Callable[[str], float]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        return parse(value) if isinstance(value, str) else value

    return read


Duration = Annotated[float, BeforeValidator(_parsed(parse_duration)), Field(ge=0)]
Size = Annotated[int, BeforeValidator(_parsed(parse_size)), Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class FilterModel(_Section):
    """A condition on an event."""

    field: str = Field(description="An attribute, an extension, or a path: data.namespace.")
    operator: str = Field(
        description="equals, not_equals, in, not_in, contains, prefix, suffix, exists."
    )
    value: Any = Field(None, description="What the field is compared with.")


class RetryPolicyModel(_Section):
    """How often and when an attempt is repeated."""

    max_attempts: int | None = Field(None, description="Attempts in all; 3 by default.")
    backoff: str | None = Field(None, description="exponential (default), linear or fixed.")
    initial_delay: Duration | None = Field(None, description="Before the second attempt; 1s.")
    multiplier: Annotated[float, Field(strict=False)] | None = Field(
        None, description="By how much an exponential delay grows; 2."
    )
    max_delay: Duration | None = Field(None, description="The longest delay; 1h.")


class SecurityModel(_Section):
    """One way to authenticate to a receiver."""

    auth_type: str = Field(description="none, bearer_token or hmac_signature.")
    secret_name: str | None = Field(None, description="The name of the secret, never its value.")


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
    headers: dict[str, str] = Field({}, description="Headers added to each request.")
    enrich: bool | None = Field(None, description="Whether data.enrichment is added; true.")
    security: SecurityModel | list[SecurityModel] = Field(
        [], description="How the gateway authenticates; a list combines several ways."
    )
    enabled: bool | None = Field(None, description="Whether it takes events; true.")
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

    url: str | None = Field(None, description="Your NATS; without it one is started.")


class RedisModel(_Section):
    """Redis or Valkey."""

    url: str | None = Field(None, description="Your Redis or Valkey; without it one is started.")


class IngestModel(_Section):
    """The events log."""

    subjects: list[str] | None = Field(
        None, description="NATS subjects that are captured; by default the original domains and "
        "the root of every pattern in webhooks and streams."
    )  # fmt: skip
    retention: Duration = Field(7 * 86400.0, description="For how long the log keeps events.")
    max_bytes: Size | None = Field(None, description="At this size the log refuses new events.")


class SecretsModel(_Section):
    """Where secrets are found by name."""

    env_prefix: str = Field("EVENT_GATEWAY_SECRET_", description="Before the name, upper-cased.")
    dir: str = Field("/run/secrets", description="A folder with a file for each secret.")


class DeliveryModel(_Section):
    """Deliveries."""

    allow_networks: list[str] = Field(
        [], description="Private networks (CIDR) that receivers may be in."
    )

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for text in value:
            ip_network(text)
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
