"""``event-gateway schema``: prints the JSON Schema of the configuration file."""

import json

import typer


def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from event_gateway.config.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
