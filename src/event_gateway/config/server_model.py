"""The models of ``server``: the HTTP API."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from event_gateway.config.values import Duration, Networks, Section, Size
from event_gateway.core.text.origin import parse_origin

MIN_BODY = 64 * 1024  # events of this size must be accepted (CloudEvents 1.0.2, "Size Limits")


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


class AdminModel(Section):
    """A port of its own for monitoring: /metrics, /healthz and /readyz, over plain HTTP, without a
    key."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(description="0 takes a free one.")


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
    trusted_proxies: Networks = Field(
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
    admin: AdminModel | None = Field(
        None, description="By default none: metrics are read with a key."
    )
    tls: TlsModel | None = Field(None, description="By default none: the port speaks plain HTTP.")

    @model_validator(mode="after")
    def _certificates_of_proxies(self) -> "ServerModel":
        if self.forwarded_client_certificate and not self.trusted_proxies:
            raise ValueError("forwarded_client_certificate needs trusted_proxies")
        return self
