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

    allow_networks: Networks = Field(
        [],
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
    keep_records: Retention = Field(
        7 * 86400.0,
        description="How long the gateway stores the records of finished deliveries; "
        "at least as long as the log stores their events.",
    )
    origin: str = Field(
        "event-gateway",
        description="The DNS name by which receivers of webhooks with verify know this gateway.",
    )

    @field_validator("origin")
    @classmethod
    def _origin(cls, value: str) -> str:
        if len(value) > 253 or _DNS_NAME.fullmatch(value) is None:
            raise ValueError("must be a DNS name, for example events.example.com")
        return value
