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
    """The OpenID Connect provider with which users sign in. The gateway accepts its tokens only if
    `auth.jwt` has it as an issuer too."""

    issuer: Url = Field(
        description="The URL of the provider. Its discovery document is below this URL."
    )
    client_id: Annotated[str, Field(min_length=1)] = Field(
        description="The id of the console at the provider, as a client of the authorization "
        "code flow."
    )
    secret_name: str | None = Field(
        None,
        description="The name of the secret of that client. Default: none; the console is a "
        "public client.",
    )
    scopes: Annotated[list[str], Field(max_length=50)] = Field(
        ["openid"],
        description="The scopes that the console requests from the provider. The console adds "
        "`openid`.",
    )


class ConsoleCertificateModel(Section):
    """A client certificate. Paths are relative to `secrets.dir`."""

    cert: Annotated[str, Field(min_length=1)] = Field(
        description="A PEM file with the certificate, followed by its intermediate certificates."
    )
    key: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A PEM file with the private key. Default: the file in `cert`."
    )


class ConsoleModel(Section):
    """The console, which `serve` starts in a process of its own."""

    enabled: bool = Field(
        True, description="Whether `serve` starts the console. `--no-console` turns it off."
    )
    host: str | None = Field(None, description="The address to listen on. Default: `server.host`.")
    port: Annotated[int, Field(ge=0, le=65535)] | None = Field(
        None,
        description="The port to listen on; 0 takes a free one. Default: the port after "
        "`server.port`, or a free one if that is taken.",
    )
    name: Annotated[str, Field(min_length=1, max_length=60)] = Field(
        "Event Gateway", description="The title of the pages."
    )
    logo: str | None = Field(
        None, description="An SVG, PNG, JPEG or WebP file of at most 1 MiB, which the pages show."
    )
    url: Origin | None = Field(
        None,
        description="The address at which browsers reach the console, such as "
        "`https://events.example.com`, if a proxy is in front of it.",
    )
    session: Annotated[Duration, Field(ge=60, le=30 * 86400)] = Field(
        12 * 3600.0, description="How long a user stays signed in."
    )
    client_certificate: ConsoleCertificateModel | None = Field(
        None,
        description="The certificate that the console presents to the gateway, if `server.tls` "
        "requires one. Default: none.",
    )
    oidc: ConsoleOidcModel | None = Field(
        None,
        description="The OpenID Connect provider with which users sign in. Default: none; users "
        "sign in with API keys.",
    )
