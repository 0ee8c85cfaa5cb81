"""The models of the configuration file. A key without a value takes the core's default."""

import re
from ipaddress import ip_network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from event_gateway.config.auth_model import AuthModel
from event_gateway.config.servers_model import NatsModel, RedisModel, check_server_url
from event_gateway.config.values import Duration, Section, Size
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.core.access.narrowing import MAX_NAMESPACE
from event_gateway.core.streams.definition import MAX_REPLICAS
from event_gateway.core.text.endpoint_url import parse_endpoint_url
from event_gateway.core.text.origin import parse_origin
from event_gateway.core.transformation.definition import BUILT_IN, SIEM_FORMATS

MIN_BODY = 64 * 1024  # events of this size must be accepted (CloudEvents 1.0.2, "Size Limits")
MAX_LISTED = 1000  # entries of a list in the file
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


def _at_least_a_minute(value: float) -> float:
    if value < 60:
        raise ValueError("must be at least 1m")
    return value


class StreamModel(Section):
    """A named stream for live subscribers."""

    subjects: list[str] = Field(description="Patterns of the subjects that the stream stores.")
    retention: Duration | None = Field(None, description="How long the stream stores events.")
    max_messages: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The most events that it stores; the oldest are dropped first."
    )
    max_bytes: Size | None = Field(None, description="The most bytes that it stores.")
    compliance: bool = Field(False, description="Events in the stream cannot be deleted or purged.")
    compression: Literal["s2", "none"] = Field("s2", description="The compression on disk.")
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = Field(
        None, description="On how many servers of a cluster; by default nats.replicas."
    )


class SubscribersModel(Section):
    """Live subscribers over WebSocket and Server-Sent Events; limits are those of a process."""

    max_connections: Annotated[int, Field(ge=1)] = Field(
        20_000, description="Connections that a key may have."
    )
    max_subscriptions: Annotated[int, Field(ge=1, le=1024)] = Field(
        32, description="Subscriptions that a connection may have."
    )
    max_frame: Annotated[Size, Field(ge=1024)] = Field(
        65536, description="The largest message that a client may send, in bytes."
    )
    max_requests: Annotated[int, Field(ge=1)] = Field(
        500, description="Requests a second on a connection; twice as many at once."
    )
    compression: bool = Field(
        False,
        description="Compress frames for clients that offer it (permessage-deflate), for some "
        "100 KB and much CPU each.",
    )


class CorsModel(Section):
    """Pages of other origins in browsers."""

    origins: Annotated[
        list[Annotated[str, AfterValidator(parse_origin)]], Field(max_length=100)
    ] = Field(
        [],
        description="The origins whose pages may use the API and the streams, such as "
        "https://app.example.com; without any, browsers let no page of another origin read an "
        "answer.",
    )


class TlsModel(Section):
    """TLS of the listener. Paths are relative to `secrets.dir`."""

    cert: str = Field(
        min_length=1,
        description="A PEM file with the gateway's certificate, and after it those between it and "
        "its root.",
    )
    key: str | None = Field(
        None, min_length=1, description="A PEM file with its private key; by default that of cert."
    )
    client_ca: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with the authorities whose certificates clients may show; without "
        "it the gateway asks for none.",
    )
    client_certificate: Literal["optional", "required"] = Field(
        "optional",
        description="With client_ca: whether a client without a certificate may connect, to prove "
        "itself by other means.",
    )
    client_crl: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with the certificates that the authorities in client_ca have "
        "revoked: a CRL of each.",
    )

    @model_validator(mode="after")
    def _needs_ca(self) -> "TlsModel":
        if self.client_ca is None:
            if self.client_certificate == "required":
                raise ValueError("client_certificate: required needs client_ca")
            if self.client_crl is not None:
                raise ValueError("client_crl needs client_ca")
        return self


class LimitsModel(Section):
    """How many requests one caller (a key, the subject of a token) may send to a process; answers
    say what is left in RateLimit."""

    requests: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Requests within per; by default any number."
    )
    per: Annotated[Duration, Field(ge=1)] = Field(1.0, description="At least 1s.")


class ServerModel(Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8080, description="0 takes a free one.")
    max_body: Annotated[Size, Field(ge=MIN_BODY)] = Field(
        1024 * 1024, description="The largest request body, in bytes; at least 64KiB."
    )
    max_connections: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="Connections of clients that a process has, at most half of them for HTTP and "
        "three quarters for live subscribers; by default, and at most, what its file limit allows.",
    )
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="HTTP connections that a client address (an IPv6 network of 64 bits) may have "
        "to a process; by default a quarter of all, and no bound for loopback.",
    )
    trusted_proxies: Annotated[list[str], Field(max_length=MAX_LISTED)] = Field(
        [],
        description="Networks (CIDR) of reverse proxies, which connect on behalf of many clients: "
        "the gateway believes what they say of their clients, and max_connections_per_address does "
        "not hold for them.",
    )
    client_address_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for",
        description="The header in which trusted_proxies name their clients. The other one counts "
        "for nothing, as proxies may pass it on as the client has sent it.",
    )
    forwarded_client_certificate: bool = Field(
        False,
        description="Whether trusted_proxies tell in X-Forwarded-Client-Cert which certificate a "
        "client has shown to them. They must replace what the client sends under that name.",
    )
    body_timeout: Annotated[Duration, Field(gt=0)] = Field(
        30.0, description="Within which the whole body of a request must arrive."
    )
    keep_alive_timeout: Annotated[Duration, Field(gt=0)] = Field(
        75.0,
        description="After which a connection without a request is closed. Let it be longer than "
        "a load balancer keeps idle connections.",
    )
    drain_timeout: Duration = Field(
        20.0,
        description="How long attempts in flight may go on when the gateway shuts down.",
    )
    docs: Literal["key", "public", "off"] = Field(
        "key",
        description="Who gets /openapi.json, which /docs shows: every caller with a valid "
        "credential, everybody, or nobody (then /docs is off too).",
    )
    subscribers: SubscribersModel = SubscribersModel()
    cors: CorsModel = CorsModel()
    limits: LimitsModel = LimitsModel()
    tls: TlsModel | None = Field(None, description="By default none: the port speaks plain HTTP.")

    @model_validator(mode="after")
    def _certificates_of_proxies(self) -> "ServerModel":
        if self.forwarded_client_certificate and not self.trusted_proxies:
            raise ValueError("forwarded_client_certificate needs trusted_proxies")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: list[str]) -> list[str]:
        for text in value:
            ip_network(text)
        return value


class IngestModel(Section):
    """The events log."""

    subjects: list[str] | None = Field(
        None,
        max_length=MAX_LISTED,
        description="NATS subjects that are captured; by default the original domains and the root "
        "of every pattern in webhooks and streams.",
    )
    retention: Annotated[Duration, AfterValidator(_at_least_a_minute)] = Field(
        7 * 86400.0, description="How long the log stores events; at least 1m."
    )
    max_bytes: Size | None = Field(None, description="At this size the log refuses new events.")
    streams: list[str] = Field(
        [],
        max_length=64,
        description="Your own JetStream streams to read, instead of capturing subjects.",
    )
    allowed_origins: list[Annotated[str, Field(min_length=1, max_length=253)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="Origins that may send events, as OPTIONS /v1/events answers them: exactly the "
        "value of WebHook-Request-Origin; * is any origin.",
    )

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, value: list[str]) -> list[str]:
        for origin in value:
            if any(not 0x20 < ord(character) < 0x7F for character in origin):
                raise ValueError("contains a space, a control or a non-ASCII character")
        return value


Namespace = Annotated[str, Field(min_length=1, max_length=MAX_NAMESPACE)]


class SecretsModel(Section):
    """Where the gateway looks up secrets by name."""

    env_prefix: str = Field("EVENT_GATEWAY_SECRET_", description="Before the name, upper-cased.")
    dir: str = Field("/run/secrets", description="A folder with a file for each secret.")
    namespaces: dict[str, list[Namespace]] = Field(
        {},
        description="The namespaces that may use a secret of the environment or of a file, by its "
        "name. Secrets that are not named here are for the operators' webhooks.",
    )


class ProxyModel(Section):
    """A forward proxy through which the gateway sends every request to receivers."""

    url: str = Field(
        repr=False,
        description="http://USER:PASSWORD@HOST:PORT, user and password percent-encoded, "
        "or without them.",
    )
    resolve: Literal["gateway", "proxy"] = Field(
        "gateway", description="Who resolves the names of receivers; the gateway can check only "
        "addresses that it resolves."
    )  # fmt: skip

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if any(ord(character) <= 0x20 or character == "\x7f" for character in value):
            raise ValueError("contains a space or a control character")
        check_server_url(value, ("http",))
        parts = urlsplit(value)
        credentials, _, place = parts.netloc.rpartition("@")
        if not credentials.isascii():
            raise ValueError("has a non-ASCII character in user or password: percent-encode it")
        parse_endpoint_url(f"http://{place}/")
        if parts.path not in ("", "/") or parts.query or parts.fragment or value[-1] in "?#":
            raise ValueError("is not http://USER:PASSWORD@HOST:PORT; percent-encode the password")
        return value


class DeliveryModel(Section):
    """Deliveries, and the other requests that the gateway sends for them."""

    allow_networks: list[str] = Field(
        [],
        max_length=MAX_LISTED,
        description="Private networks (CIDR) that receivers may be in, also with plain http.",
    )
    allow_http: bool = Field(
        False, description="Plain http to everywhere, in place of https alone."
    )
    allow_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="The only ports to send to; by default all but those of other protocols and of "
        "internal services.",
    )
    allow_service_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="Ports of other protocols and of internal services to send to all the same, "
        "such as 9200.",
    )
    proxy: ProxyModel | None = Field(None, description="By default none.")
    ca: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with authorities that may have issued the certificates of "
        "receivers and token servers, beside the system's; relative to secrets.dir.",
    )
    keep_records: Annotated[Duration, AfterValidator(_at_least_a_minute)] = Field(
        7 * 86400.0,
        description="How long the gateway stores the records of finished deliveries; "
        "at least as long as the log stores their events.",
    )
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


class TransformationModel(Section):
    """A transformation of your own: one of `base`, `template` and `python`."""

    base: str | None = Field(
        None,
        description=f"A built-in one, to set its options: {', '.join(BUILT_IN)}.",
        json_schema_extra={"enum": [*BUILT_IN, None]},
    )
    format: str | None = Field(
        None,
        description="siem_format: ecs (default) or cef.",
        json_schema_extra={"enum": [*SIEM_FORMATS, None]},
    )
    platform: str | None = Field(
        None, description="analytics_format: metadata.platform, by default arrakis."
    )
    template: Any = Field(None, description="The body, in the shape of JSON, with {{ paths }}.")
    content_type: str | None = Field(
        None,
        description="The content type of the body that a template or function makes. A template's "
        "is application/json by default; if it is not JSON, the template is a string.",
    )
    python: str | None = Field(
        None,
        description="package.module:function, or the name of an entry point in the group "
        "event_gateway.transformations.",
    )


class DeadLettersModel(Section):
    """Deliveries that failed for good."""

    retention: Annotated[Duration, AfterValidator(_at_least_a_minute)] = Field(
        90 * 86400.0, description="How long dead letters are stored; at least 1m."
    )


class AuditModel(Section):
    """The log of all changes: who changed what, and when."""

    retention: Annotated[Duration, AfterValidator(_at_least_a_minute)] = Field(
        400 * 86400.0, description="How long records are stored; at least 1m."
    )
    max_bytes: Annotated[Size, Field(ge=1024 * 1024)] | None = Field(
        None,
        description="The most bytes that they may have; the oldest are dropped first. At least "
        "1MiB; by default 1GiB, or one part in 16 of a small disk.",
    )


class CatalogModel(Section):
    """Event types with their schemas, and how the gateway treats events that do not conform."""

    enforce: Literal["off", "warn", "reject"] = Field(
        "warn", description="For types without a setting of their own: off does not check, warn "
        "accepts the event and reports it, reject refuses it."
    )  # fmt: skip
    strict: bool = Field(
        False, description="Whether events of types that are not registered are treated by "
        "enforce; else they pass."
    )  # fmt: skip


class Config(Section):
    """The whole file."""

    repair: Literal["automatic", "manual"] = Field(
        "automatic",
        description="When Redis has lost all records: read the log again at once, or wait for "
        "POST /v1/repair.",
    )

    webhooks: dict[str, WebhookModel] = Field({}, description="Receivers by id.")
    streams: dict[str, StreamModel] = Field({}, description="Named streams.")
    transformations: dict[str, TransformationModel] = Field(
        {}, description="Transformations of your own, by the name that webhooks give."
    )
    server: ServerModel = ServerModel()
    auth: AuthModel = AuthModel()
    nats: NatsModel = NatsModel()
    redis: RedisModel = RedisModel()
    ingest: IngestModel = IngestModel()
    secrets: SecretsModel = SecretsModel()
    delivery: DeliveryModel = DeliveryModel()
    dead_letters: DeadLettersModel = DeadLettersModel()
    audit: AuditModel = AuditModel()
    catalog: CatalogModel = CatalogModel()
