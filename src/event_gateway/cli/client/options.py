"""Options that several commands share."""

from typing import Annotated

import typer

UrlOption = Annotated[
    str | None,
    typer.Option("--url", envvar="EVENT_GATEWAY_URL", help="The gateway's URL."),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--key", envvar="EVENT_GATEWAY_KEY", help="A key of the gateway's API."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LimitOption = Annotated[int, typer.Option(min=1, help="The most items to list.")]
SinceOption = Annotated[
    str | None,
    typer.Option(help="At or after this time: RFC 3339, or 1h or 7d ago."),
]
UntilOption = Annotated[
    str | None, typer.Option(help="Before this time: RFC 3339, or 1h or 7d ago.")
]
