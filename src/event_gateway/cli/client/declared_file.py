"""The file of ``event-gateway apply``: the webhooks, streams and sources that it declares."""

import os
from dataclasses import dataclass
from pathlib import Path

from event_gateway.config.definitions import source_of, stream_of, webhook_of
from event_gateway.config.load import examine
from event_gateway.config.near_misses import ENV_PREFIX
from event_gateway.config.plan import Definitions
from event_gateway.config.problems import ConfigError, KeyLocations
from event_gateway.config.response_bodies import source_to_json, stream_to_json, webhook_to_json
from event_gateway.core.text.identifier import ID
from event_gateway.request.transformations import compile_definition

APPLIED = "applied"  # the manager of what was applied


@dataclass(frozen=True, slots=True)
class Declared:
    """The definitions of a file. ``manager``: what ``managed_by`` says of them; ``notes``: what the
    file has, and is not applied."""

    definitions: Definitions
    manager: str
    locations: KeyLocations
    notes: tuple[str, ...]


def read_declared(path: Path, set_name: str | None) -> Declared:
    """Reads a file. Raises ConfigError, and ValueError if the name of the set is not one.

    Which URLs are allowed, and which transformations there are, only the gateway knows.
    """
    if set_name is not None and ID.fullmatch(set_name) is None:
        raise ValueError(f"--set: {set_name!r} is not of the form {ID.pattern}")
    environ = {name: text for name, text in os.environ.items() if not name.startswith(ENV_PREFIX)}
    config, locations, problems = examine(
        path, environ, transformation_rule=compile_definition, url_rule=lambda _: lambda _: None,
        any_transformation=True,
    )  # fmt: skip
    if problems or config is None:
        raise ConfigError(problems)
    if config.transformations:
        reason = (
            "apply cannot register transformations: define them in the gateway's own configuration "
            "file, and only name them in this one"
        )
        raise ConfigError([locations.problem("transformations", reason)])
    manager = APPLIED if set_name is None else f"{APPLIED}/{set_name}"
    webhooks = {
        name: webhook_to_json(webhook_of(model, name, managed_by=manager))
        for name, model in config.webhooks.items()
    }
    streams = {
        name: stream_to_json(stream_of(model, name, managed_by=manager))
        for name, model in config.streams.items()
    }
    sources = {
        name: source_to_json(source_of(model, name, managed_by=manager))
        for name, model in config.sources.items()
    }
    applied = {"webhooks", "streams", "sources", "transformations"}
    others = sorted(config.model_fields_set - applied)
    notes = [f"{name}: is read from the gateway's own file only, and not applied"
             for name in others]  # fmt: skip
    notes += [problem.reason for problem in locations.differences if not problem.line]
    return Declared(Definitions(webhooks, streams, sources), manager, locations, tuple(notes))
