"""``event-gateway check``: what is wrong with a configuration, a line each."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import typer

from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import unfed_patterns
from event_gateway.config.load import load_with_source
from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigError, Problem, Source
from event_gateway.request.transformations import compiled
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.egress_guard import url_rule


def read_config(path: Path | None) -> tuple[Config, Source]:
    """The configuration and where its keys stand. Raises ConfigError."""
    return load_with_source(path, os.environ, transformation_rule=compiled, url_rule=url_rule)


def warnings(config: Config, source: Source) -> list[Problem]:
    """What is not wrong but will not work as it looks."""
    out = [source.problem(key, reason) for key, reason in unfed_patterns(config)]
    secrets = Secrets(
        ExternalSecrets(os.environ, config.secrets.env_prefix, Path(config.secrets.dir))
    )
    for name, model in config.webhooks.items():
        for method in webhook_of(model, name, managed_by="file").security:
            if method.secret_name and not secrets.find(method.secret_name):
                variable = secrets.variable(method.secret_name)
                out.append(
                    source.problem(
                        f"webhooks.{name}.security",
                        f"the secret {method.secret_name} is missing (neither {variable} nor a "
                        f"file in {config.secrets.dir}); unless it is in the sealed store, "
                        "its deliveries wait",
                    )
                )
    return out


def check_file(path: Path, *, as_json: bool = False) -> int:
    """Prints errors and warnings; gives the exit status."""
    errors: list[Problem] = []
    warned: list[Problem] = []
    summary = ""
    try:
        config, source = read_config(path)
        warned = warnings(config, source)
        summary = f"{len(config.webhooks)} webhooks, {len(config.streams)} streams"
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
        typer.echo(f"{path}: {summary}, good")
    return 2 if errors else 0
