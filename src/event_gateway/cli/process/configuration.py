"""Reads the configuration file of a command."""

import os
from pathlib import Path

from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import unfed_patterns
from event_gateway.config.load import load_with_source
from event_gateway.config.model import Config
from event_gateway.config.problems import Problem, Source
from event_gateway.request.transformations import compile_definition
from event_gateway.secrets.external import ExternalSecrets
from event_gateway.secrets.named import Secrets
from event_gateway.transport.egress_guard import url_rule


def read_config(path: Path | None) -> tuple[Config, Source]:
    """The configuration, and the lines of its keys. Raises ConfigError."""
    return load_with_source(
        path, os.environ, transformation_rule=compile_definition, url_rule=url_rule
    )


def warnings(config: Config, source: Source) -> list[Problem]:
    """Warnings: patterns that match no captured subject, and secrets that are missing."""
    problems = [source.problem(key, reason) for key, reason in unfed_patterns(config)]
    secrets = Secrets(
        ExternalSecrets(os.environ, config.secrets.env_prefix, Path(config.secrets.dir))
    )
    for name, model in config.webhooks.items():
        for method in webhook_of(model, name, managed_by="file").security:
            if method.secret_name and not secrets.find(method.secret_name):
                variable = secrets.variable(method.secret_name)
                problems.append(
                    source.problem(
                        f"webhooks.{name}.security",
                        f"the secret {method.secret_name} is missing (neither {variable} nor a "
                        f"file in {config.secrets.dir}); unless it is in the sealed store, "
                        "its deliveries wait",
                    )
                )
    return problems
