"""The models of ``delivery``: deliveries, and what the gateway sends for them."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from event_gateway.config.servers_model import check_server_url
from event_gateway.config.values import MAX_LISTED, Networks, Retention, Section
from event_gateway.core.text.endpoint_url import parse_endpoint_url

_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


class ProxyModel(Section):
    """A forward proxy for every request that the gateway sends to receivers."""

    url: str = Field(
        repr=False,
        description="`http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`, with user and "
        "password percent-encoded.",
    )
    resolve: Literal["gateway", "proxy"] = Field(
        "gateway",
        description="Who resolves the names of receivers. The gateway can only check addresses "
        "that it resolves itself.",
    )

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

    allow_networks: Networks = Field(
        [],
        description="The private networks (CIDR) to which the gateway may send, also over plain "
        "HTTP.",
    )
    allow_http: bool = Field(
        False,
        description="Whether the gateway may send over plain HTTP to every address. Otherwise "
        "it sends over HTTPS only.",
    )
    allow_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="The only ports to which the gateway may send. Default: all but those of "
        "other protocols and of internal services.",
    )
    allow_service_ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [],
        max_length=MAX_LISTED,
        description="Ports of other protocols and of internal services to which the gateway may "
        "send nevertheless, such as 9200.",
    )
    proxy: ProxyModel | None = Field(None, description="A forward proxy. Default: none.")
    ca: str | None = Field(
        None,
        min_length=1,
        description="A PEM file, relative to `secrets.dir`, with authorities that may have "
        "issued the certificates of receivers and token servers, in addition to those of the "
        "system.",
    )
    keep_records: Retention = Field(
        7 * 86400.0,
        description="How long the gateway stores the record of a finished delivery; at least "
        "`ingest.retention`.",
    )
    origin: str = Field(
        "event-gateway",
        description="The DNS name that the gateway tells receivers in the handshake of webhooks "
        "with `verify`.",
    )

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        if len(value) > 253 or _DNS_NAME.fullmatch(value) is None:
            raise ValueError("must be a DNS name, for example events.example.com")
        return value
