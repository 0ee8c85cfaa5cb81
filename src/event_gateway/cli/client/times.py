"""Times as options: a moment, or how long ago it was."""

import time
from typing import Annotated

import typer

from event_gateway.cli.client.gateway_client import fail
from event_gateway.core.text.times import parse_time, rfc3339
from event_gateway.core.text.units import parse_duration

SinceOption = Annotated[
    str | None, typer.Option(help="From this time on (RFC 3339), or from so long ago: 1h, 7d.")
]
UntilOption = Annotated[
    str | None, typer.Option(help="Before this time (RFC 3339), or before so long ago: 1h, 7d.")
]


def moment(option: str, text: str | None) -> str | None:
    """RFC 3339 of what an option says; ends the command where that is no time."""
    if text is None:
        return None
    try:
        return rfc3339(time.time() - parse_duration(text))
    except ValueError:
        pass
    try:
        parse_time(text)
    except ValueError:
        fail(f"{option}: {text[:64]!r} is neither a time, such as 2026-05-04T03:02:01Z, nor a "
             "duration, such as 1h or 7d", 2)  # fmt: skip
    return text
