"""The models of ``server``: the HTTP API."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from event_gateway.config.values import Duration, Networks, Section, Size
from event_gateway.core.text.origin import parse_origin

MIN_BODY = 64 * 1024  # events of this size must be accepted (CloudEvents 1.0.2, "Size Limits")


class SubscribersModel(Section):
    """Limits of live subscribers over WebSocket and Server-Sent Events, in each process."""

    max_connections: Annotated[int, Field(ge=1)] = Field(
        20_000, description="The maximum number of connections of a key."
    )
    max_subscriptions: Annotated[int, Field(ge=1, le=1024)] = Field(
        32, description="The maximum number of subscriptions on a connection."
    )
    max_frame: Annotated[Size, Field(ge=1024)] = Field(
        65536, description="The maximum size of a message from a client."
    )
    max_requests: Annotated[int, Field(ge=1)] = Field(
        500,
        description="The maximum rate of requests on a connection, in requests a second. A "
        "burst may have twice as many.",
    )
    compression: bool = Field(
        False,
        description="Whether the gateway compresses frames for clients that offer it "
        "(`permessage-deflate`). Each such connection takes some 100 KB of memory, and much CPU.",
    )


class CorsModel(Section):
    """Access for web pages of other origins."""

    origins: Annotated[
        list[Annotated[str, AfterValidator(parse_origin)]], Field(max_length=100)
    ] = Field(
        [],
        description="The origins whose pages may use the API and the streams, such as "
        "`https://app.example.com`. Default: none; browsers then hide every answer from pages of "
        "other origins.",
    )


class TlsModel(Section):
    """TLS of the listener. Paths are relative to `secrets.dir`."""

    cert: str = Field(
        min_length=1,
        description="A PEM file with the gateway's certificate, followed by its intermediate "
        "certificates.",
    )
    key: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with the private key. Default: the file in `cert`.",
    )
    client_ca: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with the authorities of client certificates. Without it the "
        "gateway asks for no client certificate.",
    )
    client_certificate: Literal["optional", "required"] = Field(
        "optional",
        description="With `client_ca`: whether every client must present a certificate. With "
        "`optional`, a client without one authenticates by other means.",
    )
    client_crl: str | None = Field(
        None,
        min_length=1,
        description="A PEM file with a revocation list (CRL) of each authority in `client_ca`.",
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
    """A port of its own for monitoring, over plain HTTP and without a key: `/metrics`, `/healthz`
    and `/readyz`."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        description="The port to listen on; 0 takes a free one."
    )


class LimitsModel(Section):
    """How many requests one caller (a key, or the subject of a token) may send to each process. The
    header `RateLimit` of an answer tells how many are left."""

    requests: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The number of requests allowed in each period. Default: no limit."
    )
    per: Annotated[Duration, Field(ge=1)] = Field(1.0, description="The length of the period.")


class ServerModel(Section):
    """The HTTP API."""

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8080, description="The port to listen on; 0 takes a free one."
    )
    max_body: Annotated[Size, Field(ge=MIN_BODY)] = Field(
        1024 * 1024, description="The maximum size of a request body."
    )
    max_connections: Annotated[int, Field(ge=2)] | None = Field(
        None,
        description="The maximum number of client connections of a process. At most half of "
        "them are for HTTP, and three quarters for live subscribers. Default and maximum: what "
        "the file limit of the process allows.",
    )
    max_connections_per_address: Annotated[int, Field(ge=1)] | None = Field(
        None,
        description="The maximum number of HTTP connections from one client address (an IPv6 "
        "network of 64 bits) to a process. Default: a quarter of all, and no limit for loopback.",
    )
    trusted_proxies: Networks = Field(
        [],
        description="The networks (CIDR) of your reverse proxies. The gateway believes what "
        "they say about their clients, and does not apply `max_connections_per_address` to them.",
    )
    client_address_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for",
        description="The header in which `trusted_proxies` send the address of the client. The "
        "gateway ignores the other header, as a proxy may pass it on unchanged from the client.",
    )
    forwarded_client_certificate: bool = Field(
        False,
        description="Whether `trusted_proxies` send the client's certificate in "
        "`X-Forwarded-Client-Cert`. They must remove that header from the requests of clients.",
    )
    body_timeout: Annotated[Duration, Field(gt=0)] = Field(
        30.0, description="The maximum time in which the whole body of a request must arrive."
    )
    keep_alive_timeout: Annotated[Duration, Field(gt=0)] = Field(
        75.0,
        description="How long the gateway keeps a connection without a request open. Set it "
        "higher than the idle timeout of your load balancer.",
    )
    drain_timeout: Duration = Field(
        20.0,
        description="How long attempts in flight may go on when the gateway shuts down.",
    )
    docs: Literal["key", "public", "off"] = Field(
        "key",
        description="Who may read `/openapi.json` and `/docs`: every caller with a valid "
        "credential (`key`), everybody (`public`), or nobody (`off`).",
    )
    subscribers: SubscribersModel = SubscribersModel()
    cors: CorsModel = CorsModel()
    limits: LimitsModel = LimitsModel()
    admin: AdminModel | None = Field(
        None,
        description="A port of its own for monitoring. Default: none; metrics are read with a key.",
    )
    tls: TlsModel | None = Field(
        None, description="TLS of the listener. Default: none; the port speaks plain HTTP."
    )

    @model_validator(mode="after")
    def _certificates_of_proxies(self) -> "ServerModel":
        if self.forwarded_client_certificate and not self.trusted_proxies:
            raise ValueError("forwarded_client_certificate needs trusted_proxies")
        return self
