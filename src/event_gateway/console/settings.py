"""What a console process works with, as ``serve`` or ``event-gateway console`` gives it."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from event_gateway.core.access.forwarded import AddressHeader

SESSION = 12 * 3600.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """A provider of OpenID Connect whose tokens the gateway accepts (``auth.jwt``).

    ``issuer``: its URL; ``client_secret``: None for a public client; ``scopes``: what is asked for.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """``gateway_url``: where the API is; ``certificate``: the file of the only certificate that the
    gateway is believed to have, ``ca``: of an authority in place of the system's; ``directory``:
    where the key of the sessions and the one-time links are; ``name`` and ``logo``: what the pages
    show, a text and a file; ``public_url``: the console's address for browsers, where that is not
    the one that they send; ``tls_cert`` and ``tls_key``: files, for HTTPS; ``session``: seconds;
    ``client_cert`` and ``client_key``: files of the certificate that the console shows to the
    gateway; ``trusted_proxies``: networks (CIDR) of the proxies before the console, which name
    their clients in ``client_address_header``.
    """

    gateway_url: str
    directory: str
    certificate: str | None = None
    ca: str | None = None
    name: str = "Event Gateway"
    logo: str | None = None
    public_url: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    session: float = SESSION
    client_cert: str | None = None
    client_key: str | None = None
    trusted_proxies: tuple[str, ...] = ()
    client_address_header: AddressHeader = "x-forwarded-for"
    log_level: str = "info"
    log_format: str = "auto"
    oidc: OidcSettings | None = None

    def to_json(self) -> str:
        """The settings as text, secrets included."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ConsoleSettings":
        """The settings of :meth:`to_json`."""
        values: dict[str, Any] = json.loads(text)
        if (oidc := values.pop("oidc")) is not None:
            oidc = OidcSettings(**(oidc | {"scopes": tuple(oidc["scopes"])}))
        proxies = tuple(values.pop("trusted_proxies"))
        return cls(**values, trusted_proxies=proxies, oidc=oidc)
