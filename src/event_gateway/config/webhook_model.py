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
    """How often and when the gateway retries a delivery."""

    max_attempts: int | None = Field(
        None,
        description="The maximum number of attempts, including the first; 1 to 100. Default: 3; "
        "with `schedule` one more than its delays.",
    )
    backoff: str | None = Field(
        None,
        description="How the delay changes from attempt to attempt. Default: `exponential`.",
        json_schema_extra={"enum": [*BACKOFFS]},
    )
    initial_delay: Duration | None = Field(
        None, description="The delay before the second attempt, at most `max_delay`. Default: 1s."
    )
    multiplier: Annotated[float, Field(strict=False)] | None = Field(
        None, description="The factor by which an exponential delay grows; 1 to 100. Default: 2."
    )
    max_delay: Duration | None = Field(
        None, description="The longest delay between two attempts; at most 7d. Default: 1h."
    )
    schedule: Annotated[list[Duration], Field(min_length=1)] | None = Field(
        None,
        description="The delays between attempts, in place of `backoff`: at most 100, each at most "
        "7d. The last delay repeats.",
    )
    jitter: Annotated[float, Field(strict=False)] | None = Field(
        None,
        description="The largest random addition to a delay, as a fraction of it; 0 to 1. "
        "Default: 0.",
    )
    max_age: Duration | None = Field(
        None,
        description="How long after its receipt the gateway still delivers an event. Default "
        "and maximum: 80% of `ingest.retention`.",
    )


class RateLimitModel(Section):
    """The maximum rate of attempts, over all processes of the gateway."""

    events: int = Field(
        description="The number of attempts that may start in each period; 1 to 10000. A request "
        "in mode `batch` counts once for each of its events."
    )
    per: Duration | None = Field(
        None, description="The length of the period; 100ms to 1d. Default: 1s."
    )


class BatchModel(Section):
    """The limits of a request in mode `batch`. The gateway sends it when it reaches one of them."""

    max_events: int | None = Field(
        None, description="The maximum number of events; 1 to 1000. Default: 100."
    )
    max_bytes: Size | None = Field(
        None,
        description="The maximum size of the data of the events; 1 to 16MiB. The gateway sends a "
        "larger event alone. Default: 256KiB.",
    )
    max_wait: Duration | None = Field(
        None, description="How long the first event waits for others; at most 5s. Default: 1s."
    )


class CircuitBreakerModel(Section):
    """When the gateway stops attempts to a failing receiver."""

    failure_threshold: int | None = Field(
        None,
        description="The number of consecutive failed attempts that opens the circuit breaker; "
        "1 to 10000. Default: 5.",
    )
    open_for: Duration | None = Field(
        None,
        description="How long the circuit breaker stays open before one attempt tests the "
        "receiver; 100ms to 1d. Default: 30s.",
    )


class OrderedModel(Section):
    """Which events are delivered in order."""

    by: Annotated[str, Field(min_length=1)] = Field(
        description="An attribute, or a path such as `data.account`. Events with an equal value "
        "are delivered in the order of the log."
    )


class SecurityModel(Section):
    """One way in which the gateway authenticates to the receiver."""

    auth_type: str = Field(
        description="The authentication method.",
        json_schema_extra={"enum": ["none", *AUTH_TYPES]},
    )
    secret_name: str | None = Field(None, description="The name of the secret, never its value.")
    header: str | None = Field(
        None,
        description=f"`api_key`: the header that carries the key. Default: `{API_KEY_HEADER}`.",
    )
    username: str | None = Field(
        None,
        description="`basic`: the user name. Without it the secret has the form `user:password`.",
    )
    token_url: str | None = Field(
        None, description="`oauth2_client_credentials`: the URL of the token endpoint."
    )
    client_id: str | None = Field(
        None, description="`oauth2_client_credentials`: the client id of the gateway."
    )
    scope: str | None = Field(
        None, description="`oauth2_client_credentials`: the requested scopes, separated by spaces."
    )
    client_auth: str | None = Field(
        None,
        description="`oauth2_client_credentials`: where the gateway sends its client id and "
        "secret: `basic` in the `Authorization` header, `body` in the form. Default: `basic`.",
        json_schema_extra={"enum": [*CLIENT_AUTH]},
    )
    audience: str | None = Field(
        None, description="`oauth2_client_credentials`: the audience of the requested token."
    )
    params: dict[str, str] = Field(
        {},
        description="`oauth2_client_credentials`: further parameters of the token request, such "
        "as `resource`.",
    )
    cert: str | None = Field(
        None,
        description="`mtls`: a PEM file with the client certificate, relative to `secrets.dir`.",
    )
    key: str | None = Field(
        None,
        description="`mtls`: a PEM file with the private key. `secret_name` names the secret "
        "that is its password.",
    )
    ca: str | None = Field(
        None,
        description="`mtls`: a PEM file with the authorities that may have issued the "
        "receiver's certificate.",
    )


class TlsModel(Section):
    """How the gateway checks the receiver's certificate."""

    ca: str | None = Field(
        None,
        description="A PEM file, relative to `secrets.dir`, with the only authorities that may "
        "have issued the receiver's certificate. Default: those of the system and of "
        "`delivery.ca`.",
    )


class WebhookModel(SelectionModel):
    """A webhook: which events the gateway sends to a receiver, and how."""

    url: str = Field(description="The URL to which the gateway sends events.")
    events: list[str] = Field(
        description="Patterns of event types. `*` matches one token, `>` all tokens that follow."
    )
    transformation: str | None = Field(
        None,
        description=f"The format of the request body: {', '.join(BUILT_IN)}, or the name of one "
        f"of `transformations`. Default: `{BUILT_IN[0]}`.",
    )
    mode: str | None = Field(
        None,
        description="How a request carries events. `structured`: one event as a JSON object. "
        "`binary`: the data as the body and the attributes as `ce-` headers, with the "
        "transformation `standard`. `batch`: several events in one request. Default: "
        "`structured`.",
        json_schema_extra={"enum": [*MODES, None]},
    )
    method: str | None = Field(
        None,
        description="The HTTP method. Receivers of CloudEvents and of Standard Webhooks expect "
        "`POST`, which is the default.",
        json_schema_extra={"enum": [*REQUEST_METHODS, None]},
    )
    content_type: str | None = Field(
        None,
        description="The content type of requests, such as `application/json`. Default: that of "
        "the transformation.",
    )
    tls: TlsModel = Field(
        TlsModel(), description="How the gateway checks the receiver's certificate."
    )
    batch: BatchModel = Field(BatchModel(), description="The limits of a request in mode `batch`.")
    retry_policy: Annotated[RetryPolicyModel, BeforeValidator(_named_policy)] = Field(
        RetryPolicyModel(),
        description=f"When the gateway retries a delivery: an object, or `{STANDARD_POLICY}` for "
        "the schedule of Standard Webhooks, 10 attempts over 3 days.",
    )
    retry_on: list[RetryOn] | None = Field(
        None,
        description="The failures that the gateway retries: status codes (`429`), classes of "
        f"them (`5xx`), and `{NETWORK}` for attempts without a response. Default: every failure "
        "except status 410.",
    )
    timeout: Duration | None = Field(
        None, description="The maximum duration of an attempt; 100ms to 5m. Default: 15s."
    )
    concurrency: int | None = Field(
        None,
        description="The maximum number of attempts at the same time, over all processes of the "
        "gateway; 1 to 1024. Default: 32.",
    )
    rate_limit: RateLimitModel | None = Field(
        None, description="The maximum rate of attempts. Default: none."
    )
    circuit_breaker: CircuitBreakerModel = Field(
        CircuitBreakerModel(), description="When the gateway stops attempts to a failing receiver."
    )
    disable_after: Duration | None = Field(
        None,
        description="The gateway disables the webhook when every attempt has failed for this "
        "long; 1s to 366d. Default: 5d.",
    )
    ordered: bool | OrderedModel = Field(
        False,
        description="`true` delivers one event at a time, in the order of the log. An object "
        "orders only events with an equal value.",
    )
    verify: bool = Field(
        False,
        description="Whether the receiver must complete a handshake before the first delivery.",
    )
    headers: dict[str, str] = Field(
        {}, description="Headers that the gateway adds to each request."
    )
    enrich: bool | None = Field(
        None, description="Whether the gateway adds `data.enrichment`. Default: `true`."
    )
    security: Annotated[list[SecurityModel], BeforeValidator(_one_or_more)] = Field(
        [],
        description="How the gateway authenticates to the receiver. A list combines several "
        "methods.",
    )
    enabled: bool | None = Field(
        None,
        description="Whether the gateway delivers. While it is `false`, events wait in the "
        "queue. Default: `true`.",
    )
    description: str | None = Field(None, max_length=1000, description="A text for people.")
    metadata: dict[str, Any] = Field(
        {}, description="Values of your own. The gateway stores and returns them."
    )
    renamed_from: str | None = Field(
        None,
        description="The former id of this webhook, which takes over its queue and history. The "
        "gateway ignores an id that no webhook has.",
    )
