"""The model of a webhook in the configuration. A key without a value takes the core's default."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from event_gateway.config.selection_model import SelectionModel
from event_gateway.config.values import Duration, Section, Size
from event_gateway.core.text.units import format_duration
from event_gateway.core.transformation.definition import BUILT_IN
from event_gateway.core.webhook.auth import AUTH_TYPES
from event_gateway.core.webhook.retry_on import NETWORK
from event_gateway.core.webhook.retry_policy import BACKOFFS, STANDARD
from event_gateway.core.webhook.security import API_KEY_HEADER, CLIENT_AUTH
from event_gateway.core.webhook.webhook import MODES, REQUEST_METHODS

STANDARD_POLICY = "standard"


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _named_policy(value: Any) -> Any:
    if isinstance(value, str):
        if value != STANDARD_POLICY:
            raise ValueError(f"{value!r} is unknown: {STANDARD_POLICY}, or an object")
        return {"schedule": [format_duration(delay) for delay in STANDARD]}
    return value


def _retry_on(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.lower() if isinstance(value, str) else value


RetryOn = Annotated[
    str,
    BeforeValidator(_retry_on),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 300, "maximum": 599},
                   {"type": "string", "pattern": f"^([345][0-9][0-9]|[345]xx|{NETWORK})$"}]}
    ),
]  # fmt: skip


class RetryPolicyModel(Section):
    """How many attempts the gateway makes, and when."""

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
        None, description="A list of delays, in place of backoff; the last delay repeats."
    )
    jitter: Annotated[float, Field(strict=False)] | None = Field(
        None, description="What part of a delay may be added to it at random, 0 to 1; 0."
    )
    max_age: Duration | None = Field(
        None,
        description="How long after its receipt the gateway delivers an event; "
        "by default, and at most, 80% of ingest.retention.",
    )


class RateLimitModel(Section):
    """How many attempts all processes together may start in a period."""

    events: int = Field(description="Attempts in each period.")
    per: Duration | None = Field(None, description="The period; 1s.")


class BatchModel(Section):
    """The limits of a request in mode batch: the first that is reached applies."""

    max_events: int | None = Field(None, description="Events; 100.")
    max_bytes: Size | None = Field(
        None, description="Bytes of their data; 256KiB. A larger event is sent alone."
    )
    max_wait: Duration | None = Field(
        None, description="How long the first event waits for more; 1s."
    )


class CircuitBreakerModel(Section):
    """When to stop attempts to a receiver that only fails."""

    failure_threshold: int | None = Field(
        None, description="Failed attempts in a row until it opens; 5."
    )
    open_for: Duration | None = Field(
        None, description="How long no attempt is made, until a single one tests the receiver; 30s."
    )


class OrderedModel(Section):
    """Which events are delivered in order."""

    by: Annotated[str, Field(min_length=1)] = Field(
        description="An attribute or a path (data.account): events with equal values keep their "
        "order."
    )


class SecurityModel(Section):
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
        None, description="oauth2_client_credentials: the URL of the token endpoint."
    )
    client_id: str | None = Field(
        None, description="oauth2_client_credentials: the id of the gateway there."
    )
    scope: str | None = Field(
        None, description="oauth2_client_credentials: requested scopes, separated by spaces."
    )
    client_auth: str | None = Field(
        None,
        description="oauth2_client_credentials: basic (default) sends id and secret in a header, "
        "body in the form.",
        json_schema_extra={"enum": [*CLIENT_AUTH]},
    )
    audience: str | None = Field(
        None, description="oauth2_client_credentials: the audience of the token."
    )
    params: dict[str, str] = Field(
        {},
        description="oauth2_client_credentials: further parameters of the token request, such as "
        "resource.",
    )
    cert: str | None = Field(
        None, description="mtls: the client certificate, a PEM file; relative to secrets.dir."
    )
    key: str | None = Field(
        None, description="mtls: its private key, a PEM file; secret_name is that of its password."
    )
    ca: str | None = Field(
        None,
        description="mtls: a PEM file with the authorities that may sign the receiver's "
        "certificate.",
    )


class TlsModel(Section):
    """TLS to a receiver."""

    ca: str | None = Field(
        None,
        description="A PEM file with the only authorities that may have issued the receiver's "
        "certificate, relative to secrets.dir; by default the system's and delivery.ca.",
    )


class WebhookModel(SelectionModel):
    """A receiver of events."""

    url: str = Field(description="Where events are sent to.")
    events: list[str] = Field(description="Patterns on the event's type: * one token, > the rest.")
    transformation: str | None = Field(
        None,
        description=f"{BUILT_IN[0]} (default), {', '.join(BUILT_IN[1:])}, or one of "
        "`transformations`.",
    )
    mode: str | None = Field(
        None,
        description="structured (default): the event as one JSON object; binary: its data as the "
        "body and its attributes as ce- headers, with the standard transformation; batch: several "
        "events in one request.",
        json_schema_extra={"enum": [*MODES, None]},
    )
    method: str | None = Field(
        None,
        description="The method of requests; POST, which receivers of CloudEvents and of Standard "
        "Webhooks expect.",
        json_schema_extra={"enum": [*REQUEST_METHODS, None]},
    )
    content_type: str | None = Field(
        None,
        description="The content type of requests, such as application/json; by default that of "
        "the transformation.",
    )
    tls: TlsModel = Field(TlsModel(), description="TLS to the receiver.")
    batch: BatchModel = Field(BatchModel(), description="How large a request of mode batch is.")
    retry_policy: Annotated[RetryPolicyModel, BeforeValidator(_named_policy)] = Field(
        RetryPolicyModel(),
        description=f"When to retry: an object, or {STANDARD_POLICY}, the schedule of Standard "
        "Webhooks, 10 attempts over 3 days.",
    )
    retry_on: list[RetryOn] | None = Field(
        None,
        description="Which failures are retried: statuses (429), classes of them (5xx), and "
        f"{NETWORK} for attempts without a response; by default every failure but 410.",
    )
    timeout: Duration | None = Field(None, description="The longest time for an attempt; 15s.")
    concurrency: int | None = Field(None, description="Attempts at the same time; 32.")
    rate_limit: RateLimitModel | None = Field(None, description="By default none.")
    circuit_breaker: CircuitBreakerModel = Field(
        CircuitBreakerModel(), description="When to stop attempts to a failing receiver."
    )
    disable_after: Duration | None = Field(
        None, description="The gateway disables the webhook after so long of only failures; 5d."
    )
    ordered: bool | OrderedModel = Field(
        False, description="true delivers in the order of the log, one at a time."
    )
    verify: bool = Field(
        False, description="true: the receiver must complete a handshake before the first delivery."
    )
    headers: dict[str, str] = Field({}, description="Headers added to each request.")
    enrich: bool | None = Field(None, description="Whether data.enrichment is added; true.")
    security: Annotated[list[SecurityModel], BeforeValidator(_one_or_more)] = Field(
        [], description="How the gateway authenticates; a list combines several ways."
    )
    enabled: bool | None = Field(
        None,
        description="Whether the gateway delivers; true. While false, events wait in the queue.",
    )
    description: str | None = Field(None, max_length=1000, description="For people.")
    metadata: dict[str, Any] = Field({}, description="For your use; the gateway only stores it.")
    renamed_from: str | None = Field(
        None,
        description="The former id of this webhook, whose queue and history it takes over. Nothing "
        "happens if there is no webhook of that id.",
    )
