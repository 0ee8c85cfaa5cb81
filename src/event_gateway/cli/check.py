"""``event-gateway check``: what is wrong with a configuration, a line each."""

import os
from pathlib import Path

import typer

from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import unfed_patterns
from event_gateway.config.load import ConfigError, load
from event_gateway.config.model import Config
from event_gateway.delivery.secrets import Secrets
from event_gateway.delivery.transformations import TRANSFORMATIONS


def load_or_explain(path: Path | None) -> Config | None:
    """The configuration; None after its errors were printed."""
    try:
        return load(path, os.environ, transformations=frozenset(TRANSFORMATIONS))
    except ConfigError as error:
        for problem in error.problems:
            typer.echo(str(problem), err=True)
        return None


def warnings(config: Config) -> list[str]:
    """What is not wrong but will not work as it looks."""
    out = [str(problem) for problem in unfed_patterns(config)]
    secrets = Secrets(os.environ, config.secrets.env_prefix, Path(config.secrets.dir))
    for name, model in config.webhooks.items():
        for method in webhook_of(model, name, managed_by="file").security:
            if method.secret_name and secrets.get(method.secret_name) is None:
                variable = config.secrets.env_prefix + method.secret_name.upper()
                out.append(
                    f"webhooks.{name}.security: the secret {method.secret_name} is missing "
                    f"(neither {variable} nor a file in {config.secrets.dir}); its deliveries wait"
                )
    return out


def check_file(path: Path) -> int:
    """Prints errors and warnings; gives the exit status."""
    config = load_or_explain(path)
    if config is None:
        return 2
    for warning in warnings(config):
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{path}: {len(config.webhooks)} webhooks, {len(config.streams)} streams, good")
    return 0
