"""``event-gateway expressions``: an expression's value for an event."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from event_gateway.cli.client.documents import read_document
from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.output import print_answer
from event_gateway.cli.client.requests import call

app = typer.Typer(no_args_is_help=True, help="Expressions in CESQL and CEL: evaluate.")


@app.command()
def evaluate(
    expression: Annotated[str, typer.Argument(help="The expression.")],
    event: Annotated[
        Path, typer.Argument(help="A file with the CloudEvent, - is the standard input.")
    ],
    dialect: Annotated[str, typer.Option(help="cesql, as in sql filters, or cel.")] = "cesql",
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate an expression for an event, and show the value and the errors.

    Nothing is stored or sent. Ends with 1 if there are errors.
    """
    body = {"dialect": dialect, "expression": expression, "event": read_document(event)}
    answer = call(url, key, "POST", "/v1/expressions/evaluate", body)
    print_answer(as_json, answer, _lines)
    if answer["errors"]:
        raise typer.Exit(1)


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    yield json.dumps(answer["value"], ensure_ascii=False)
    for error in answer["errors"]:
        yield f"{error['type']}: {error['message']}"
