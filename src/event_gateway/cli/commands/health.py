"""``event-gateway health``: the health of a running gateway, over all its processes."""

import textwrap
from collections.abc import Iterator
from typing import Any

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import Line, print_answer, table
from event_gateway.cli.client.requests import call
from event_gateway.core.text.units import format_size

WIDTH = 96  # characters of a line with a remedy


def health(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show whether the gateway is healthy, and what to do if it is not."""
    print_answer(as_json, call(url, key, "GET", "/v1/health"), _lines)


def _lines(answer: dict[str, Any]) -> Iterator[Line]:
    since = f" since {answer['since']}" if answer["since"] else ""
    yield f"{answer['status']}{since}, version {answer['version']}"
    if answer.get("recovering"):
        yield "There is no reason any more: it counts as recovered in a moment. There were:"
        for reason in answer["last_reasons"]:
            yield f"  {reason['code']}: {reason['text']}"
    for reason in answer["reasons"]:
        yield ""
        yield f"{reason['code']}: {reason['text']}"
        yield f"  since {reason['since']}, seen by {', '.join(reason['processes'])}"
        see = f' See "{reason["see"]}" in docs/operations.md.' if reason["see"] else ""
        yield from textwrap.wrap(
            reason["remedy"] + see, WIDTH, initial_indent="  ", subsequent_indent="  "
        )
    yield ""
    yield from table(
        ["COMPONENT", "STATUS", "FIGURES"],
        [
            [name, component["status"], _figures(component)]
            for name, component in answer["components"].items()
        ],
    )
    yield ""
    yield from table(
        ["PROCESS", "VERSION", "STARTED", "LEADER", "REASONS"],
        [
            [
                f"{process['host']}/{process['pid']}",
                process["version"],
                process["started_at"] or "",
                "yes" if process["leader"] else "",
                ", ".join(process["reasons"]),
            ]
            for process in answer["processes"]
        ],
    )


def _figures(component: dict[str, Any]) -> str:
    shown = []
    for name, value in component.items():
        # A stream without a limit has 0.
        if name == "status" or value is None or (name, value) == ("log_max_bytes", 0):
            continue
        sized = name.endswith("_bytes")
        shown.append(f"{name.removesuffix('_bytes')} {format_size(value) if sized else value}")
    return ", ".join(shown)
