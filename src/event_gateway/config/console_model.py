"""The models of ``console``: the pages for people."""

from typing import Annotated

from pydantic import AfterValidator, Field

from event_gateway.config.values import Duration, Section
from event_gateway.core.text.endpoint_url import parse_endpoint_url


def _url(value: str) -> str:
    parse_endpoint_url(value)
    return value


def origin(value: str) -> str:
    """The scheme, host and port of a URL as browsers write them: in small letters, without the
    scheme's own port. Raises ValueError for a URL with a path."""
    parts = parse_endpoint_url(value)
    if parts.path != "/":
        raise ValueError("must be without a path: the console is at the root of its host")
    host = f"[{parts.host}]" if ":" in parts.host else parts.host
    own = {"https": 443, "http": 80}[parts.scheme]
    port = "" if parts.port in (None, own) else f":{parts.port}"
    return f"{parts.scheme}://{host.lower()}{port}"


Url = Annotated[str, AfterValidator(_url)]
Origin = Annotated[str, AfterValidator(origin)]


class ConsoleOidcModel(Section):
    """A provider of OpenID Connect with which users sign in. The gateway takes its tokens if it is
    an issuer in `auth.jwt`, too."""

    issuer: Url = Field(description="Its URL, below which its discovery document is.")
    client_id: Annotated[str, Field(min_length=1)] = Field(
        description="The id of the console there, a client of the authorization code flow."
    )
    secret_name: str | None = Field(
        None, description="The secret of that client, by name; by default it is a public client."
    )
    scopes: Annotated[list[str], Field(max_length=50)] = Field(
        ["openid"], description="What the console asks the provider for; openid is added."
    )


class ConsoleCertificateModel(Section):
    """A client certificate. Paths are relative to `secrets.dir`."""

    cert: Annotated[str, Field(min_length=1)] = Field(
        description="A PEM file with the certificate, and after it those between it and its root."
    )
    key: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A PEM file with its private key; by default that of cert."
    )


class ConsoleModel(Section):
    """The console, which `serve` starts in a process of its own."""

    enabled: bool = Field(True, description="Whether `serve` starts it; --no-console does not.")
    host: str | None = Field(
        None, description="The address to listen on; by default that of the server."
    )
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="0 takes a free one; by default the one after the server's, or a free one "
        "where that is taken.",
    )
    name: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        "Event Gateway", description="What the pages are titled with."
    )
    logo: str | None = Field(
        None, description="An SVG, PNG, JPEG or WebP file of at most 1 MiB, which the pages show."
    )
    url: Origin | None = Field(
        None,
        description="The address at which browsers reach it, such as https://events.example.com, "
        "if a proxy is before it.",
    )
    session: Annotated[Duration, Field(ge=60, le=30 * 86400)] = Field(
        12 * 3600.0, description="After which users sign in again; 1m to 30d."
    )
    client_certificate: ConsoleCertificateModel | None = Field(
        None,
        description="The certificate that the console shows to the gateway, where `server.tls` "
        "requires one; by default none.",
    )
    oidc: ConsoleOidcModel | None = Field(
        None, description="By default none: users sign in with API keys."
    )
