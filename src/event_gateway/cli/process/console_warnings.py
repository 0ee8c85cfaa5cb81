"""What in the section ``console`` of a configuration keeps the console from working."""

from collections.abc import Iterator
from pathlib import Path

from event_gateway.config.model import Config
from event_gateway.secrets.external import ExternalSecrets


def console_warnings(config: Config, external: ExternalSecrets) -> Iterator[tuple[str, str]]:
    """Key and reason of each. ``external``: the secrets of the environment and of files."""
    console = config.console
    if not console.enabled:
        return
    if console.logo is not None:
        from event_gateway.console.assets import check_logo  # few have a logo; it loads Starlette

        try:
            check_logo(Path(console.logo))
        except OSError as error:
            yield "console.logo", f"the console cannot start: {error}"
    tls, shown = config.server.tls, console.client_certificate
    if tls is not None and tls.client_certificate == "required" and shown is None:
        yield (
            "console",
            "the gateway refuses the console, as server.tls requires client certificates: set "
            "console.client_certificate, or console.enabled: false",
        )
    for name in () if shown is None else filter(None, (shown.cert, shown.key)):
        if not (path := Path(config.secrets.dir) / name).is_file():
            yield "console.client_certificate", f"the console cannot start: {path} is missing"
    if (oidc := console.oidc) is None:
        return
    if oidc.issuer not in {each.issuer for each in config.auth.jwt}:
        yield (
            "console.oidc.issuer",
            "is no issuer in auth.jwt: the gateway will refuse the tokens of users who sign in",
        )
    if oidc.secret_name and external.find(oidc.secret_name) is None:
        yield (
            "console.oidc.secret_name",
            f"the secret {oidc.secret_name} is missing (neither "
            f"{external.variable(oidc.secret_name)} nor a file in {config.secrets.dir}): the "
            "provider will refuse the console",
        )
