"""Prints a plan: in colour on a terminal, plain elsewhere."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from event_gateway.cli.client.output import print_coloured

MAX_VALUE = 200  # characters that are shown of a value
_SIGNS = {
    "create": ("+", typer.colors.GREEN),
    "change": ("~", typer.colors.YELLOW),
    "rename": (">", typer.colors.CYAN),
    "delete": ("-", typer.colors.RED),
    "release": ("~", typer.colors.YELLOW),
}


def print_plan(plan: Mapping[str, Any]) -> None:
    """Prints the steps of a plan as the API shows it, and what they would lose."""
    for text, colour in _lines(plan):
        print_coloured(text, colour)


def summary_of(plan: Mapping[str, Any]) -> str:
    """How many steps of each kind a plan has; ``nothing to change`` if it has none."""
    counts = Counter(step["action"] for step in plan["steps"])
    return ", ".join(f"{counts[action]} to {action}" for action in _SIGNS if counts[action]) or (
        "nothing to change"
    )


def _lines(plan: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for step in plan["steps"]:
        sign, colour = _SIGNS[step["action"]]
        yield f"{sign} {step['kind']} {step['name']}", colour
        if step["former"]:
            yield f"    takes over the queue and the history of {step['former']}", None
        if step["action"] == "release":
            yield "    is not deleted; it can be changed over the API from now on", None
        for difference in step["differences"]:
            before, after = (_value(difference[side]) for side in ("before", "after"))
            yield f"    {difference['key']}: {before} -> {after}", None
        if step["loss"] is not None:
            yield f"    {step['loss']['reason']}", typer.colors.RED


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"
