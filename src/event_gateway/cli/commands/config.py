"""``event-gateway config``: the configuration of a running gateway."""

import json
from collections.abc import Iterator
from typing import Any

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import Line, print_answer, table
from event_gateway.cli.client.requests import call

app = typer.Typer(no_args_is_help=True, help="The configuration in force.")


@app.callback()
def _group() -> None:
    pass


@app.command()
def show(url: UrlOption = None, key: KeyOption = None, as_json: JsonOption = False) -> None:
    """Show the configuration that a running gateway works by, without secrets."""
    print_answer(as_json, call(url, key, "GET", "/v1/config"), _lines)


def _lines(answer: dict[str, Any]) -> Iterator[Line]:
    given = tuple(f"{key}." for key in answer["given"])
    yield f"in force since {answer['in_force_since']}, version {answer['version']}"
    for what in ("webhooks", "streams"):
        if answer[what]:
            yield f"{what} of the file: {', '.join(answer[what])}"
    yield ""
    yield from table(
        ["KEY", "VALUE", "SET"],
        [
            [key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False),
             "yes" if f"{key}.".startswith(given) else ""]
            for key, value in _flat(answer["settings"])
        ],
    )  # fmt: skip


def _flat(values: dict[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Each key with its value, sections by their members: ``server.port``."""
    for name, value in values.items():
        key = f"{within}{name}"
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{key}.")
        else:
            yield key, value
