"""What ``send`` says at its end: what was sent, and which lines were refused."""

import json
import time
from typing import Any

import typer

from event_gateway.cli.client.output import printable
from event_gateway.cli.send.session import Sent

MAX_SHOWN = 20  # refused events; --json has all


def print_summary(parts: list[Sent], started: float, *, as_json: bool, ended: str) -> None:
    """Prints the summary. ``started`` is in the monotonic clock; ``ended``: why sending ended
    before all was sent, empty if it did not."""
    seconds = time.monotonic() - started
    accepted = sum(part.outcome.accepted for part in parts)
    duplicates = sum(part.outcome.duplicates for part in parts)
    refused = [
        (part.name, number, detail)
        for part in parts
        for number, detail in sorted(part.outcome.refused)
    ]
    if as_json:
        content: dict[str, Any] = {
            "accepted": accepted,
            "duplicates": duplicates,
            "refused": [
                {"file": name, "number": number, "detail": detail}
                for name, number, detail in refused
            ],
            "complete": not ended,
            "seconds": round(seconds, 3),
        }
        typer.echo(json.dumps(content, indent=2))
        return
    for name, number, detail in refused[:MAX_SHOWN]:
        typer.echo(printable(f"{name}:{number}: {detail}"), err=True)
    if len(refused) > MAX_SHOWN:
        typer.echo(f"… and {len(refused) - MAX_SHOWN} more; --json has all", err=True)
    typer.echo(_line(parts, accepted, duplicates, len(refused), seconds))
    if ended:
        typer.echo(ended, err=True)
        for part in parts:
            if not part.complete:
                typer.echo(_rest(part), err=True)


def _line(parts: list[Sent], accepted: int, duplicates: int, refused: int, seconds: float) -> str:
    if accepted == 1 and not (duplicates or refused):
        return f"accepted, sequence {parts[0].outcome.last_sequence}"
    more = f", {duplicates:,} duplicates" if duplicates else ""
    more += f", {refused:,} refused" if refused else ""
    rate = f" in {seconds:.1f} s, {(accepted + duplicates) / seconds:,.0f}/s" if seconds > 1 else ""
    return f"{accepted:,} accepted{more}{rate}"


def _rest(part: Sent) -> str:
    """Where to go on."""
    known = f"all before {part.next_number} were sent"
    if part.furthest > part.next_number:
        known += f"; of {part.next_number} to {part.furthest - 1} some may have been"
    return f"{part.name}: {known}; the same id again is recognised, and not delivered twice"
