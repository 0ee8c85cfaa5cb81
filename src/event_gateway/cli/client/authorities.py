"""Whom a command trusts to be the gateway: ``--ca``, or the certificate of a local gateway."""

import functools
import inspect
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

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
    for command in commands.registered_commands:
        callback = command.callback
        if callback is not None and "url" in inspect.signature(callback).parameters:
            command.callback = _taking_ca(callback)
    for group in commands.registered_groups:
        if group.typer_instance is not None:
            take_ca(group.typer_instance)


def _taking_ca(callback: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(callback)
    def command(*arguments: Any, ca: Path | None, **options: Any) -> Any:
        global _given
        _given = ca
        return callback(*arguments, **options)

    signature = inspect.signature(callback)
    option = inspect.Parameter(
        "ca", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CaOption
    )
    parameters = [*signature.parameters.values(), option]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {**callback.__annotations__, "ca": CaOption}
    return command


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
