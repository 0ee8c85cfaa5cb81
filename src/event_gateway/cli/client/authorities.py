"""Whom a command trusts to be the gateway: ``--ca``, or the certificate of a local gateway."""

import ssl
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.added_options import add_option
from event_gateway.cli.client.output import fail

CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="EVENT_GATEWAY_CA",
        help="A PEM file with the authority of the gateway's certificate; by default the system's.",
    ),
]
_END = "-----END CERTIFICATE-----\n"
_given: Path | None = None  # with --ca


def take_ca(commands: typer.Typer) -> None:
    """Gives the option ``--ca`` to each command that has ``--url``."""
    add_option(commands, "ca", CaOption, beside="url", take=_take)


def _take(ca: Path | None, _options: dict[str, Any]) -> None:
    global _given
    _given = ca


def context_for(url: str, certificate: str | None) -> ssl.SSLContext | None:
    """The TLS context for a gateway; None for plain HTTP. ``certificate``: the file with that of
    the gateway that runs here, and nobody else is believed to be it. Ends the command if a file
    cannot be used."""
    if not url.startswith("https:"):
        return None
    file = _given or certificate
    try:
        if _given is None and certificate is not None:
            return _trusting_only(Path(certificate))
        return ssl.create_default_context(cafile=_given)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        why = getattr(error, "strerror", None) or str(error)
        fail(f"--ca: {file}: {why}" if _given else f"{file}: {why}", 2)


def _trusting_only(certificate: Path) -> ssl.SSLContext:
    """Trusts the first certificate of a file itself, whatever name it is for."""
    leaf, end, _ = certificate.read_text("latin-1").partition(_END)
    context = ssl.create_default_context(cadata=leaf + end)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context
