"""The scope that the key of each command needs, as its help says."""

import typer
from typer.models import CommandInfo

from event_gateway.core.access import scope

# By group, or by group and command.
NEEDED = {
    "audit-log": scope.ADMIN,
    "catalog": scope.EVENTS_READ,
    "catalog import": scope.ADMIN,
    "dead-letters": scope.DELIVERIES_MANAGE,
    "deliveries": scope.DELIVERIES_MANAGE,
    "keys": scope.ADMIN,
    "listen": scope.STREAMS_READ,
    "replay": scope.DELIVERIES_MANAGE,
    "replays": scope.DELIVERIES_MANAGE,
    "secrets": scope.SECRETS_MANAGE,
    "secrets reseal": scope.ADMIN,
    "streams": scope.STREAMS_READ,
    "tokens": scope.STREAMS_READ,
    "webhooks": scope.WEBHOOKS_MANAGE,
}


def add_scopes(app: typer.Typer) -> None:
    """Ends the help of each command with the scope that its key needs."""
    for command in app.registered_commands:
        _add(command, _name(command))
    for group in app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            _add(command, f"{group.name} {_name(command)}")


def _add(command: CommandInfo, path: str) -> None:
    needed = NEEDED.get(path) or NEEDED.get(path.split()[0])
    if needed is not None:
        command.epilog = f"Needs a key with the scope {needed}."


def _name(command: CommandInfo) -> str:
    assert command.callback is not None
    return command.name or command.callback.__name__.replace("_", "-")
