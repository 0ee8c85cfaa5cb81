"""``event-gateway check``: prints the problems of a configuration, a line each."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from event_gateway.cli.client.options import JsonOption
from event_gateway.config.problems import ConfigError, ConfigProblem


def check(
    config: Annotated[Path, typer.Option("--config", "-c", help="The configuration file (YAML).")],
    as_json: JsonOption = False,
) -> None:
    """Validate a configuration without starting anything."""
    raise typer.Exit(check_file(config, as_json=as_json))


def check_file(path: Path, *, as_json: bool = False) -> int:
    """Prints errors and warnings; returns the exit status: 0, or 2 if there are errors."""
    from event_gateway.cli.process.configuration import contents, read_config, warnings

    errors: list[ConfigProblem] = []
    warned: list[ConfigProblem] = []
    summary = ""
    try:
        config, locations = read_config(path)
        warned = warnings(config, locations)
        summary = contents(config)
    except ConfigError as error:
        errors = error.problems
    if as_json:
        shown = {"ok": not errors, "errors": errors, "warnings": warned}
        typer.echo(json.dumps(shown, default=asdict))
        return 2 if errors else 0
    for problem in errors:
        typer.echo(str(problem), err=True)
    for problem in warned:
        typer.echo(f"warning: {problem}", err=True)
    if not errors:
        typer.echo(f"{path}: valid, {summary}")
    return 2 if errors else 0
