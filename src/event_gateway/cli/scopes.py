"""The scope that the key of each command needs, as its help says."""

import typer

from event_gateway.cli.client.command_tree import commands_of
from event_gateway.core.access import scope

# By group, or by group and command.
NEEDED = {
    "alerts": scope.WEBHOOKS_MANAGE,
    "apply": scope.WEBHOOKS_MANAGE,
    "audit-log": scope.ADMIN,
    "catalog": scope.EVENTS_READ,
    "catalog import": scope.ADMIN,
    "dead-letters": scope.DELIVERIES_MANAGE,
    "deliveries": scope.DELIVERIES_MANAGE,
    "doctor": scope.ADMIN,
    "events": scope.EVENTS_READ,
    "events resend": scope.DELIVERIES_MANAGE,
    "health": scope.METRICS_READ,
    "keys": scope.ADMIN,
    "listen": scope.STREAMS_READ,
    "reload": scope.ADMIN,
    "send": scope.EVENTS_PUBLISH,
    "trigger": scope.EVENTS_PUBLISH,
    "replay": scope.DELIVERIES_MANAGE,
    "replays": scope.DELIVERIES_MANAGE,
    "secrets": scope.SECRETS_MANAGE,
    "secrets reseal": scope.ADMIN,
    "streams": scope.STREAMS_READ,
    "tokens": scope.STREAMS_READ,
    "top": scope.METRICS_READ,
    "webhooks": scope.WEBHOOKS_MANAGE,
}


def add_scopes(app: typer.Typer) -> None:
    """Ends the help of each command with the scope that its key needs."""
    for words, command in commands_of(app):
        needed = NEEDED.get(words) or NEEDED.get(words.split()[0])
        if needed is not None:
            command.epilog = f"Needs a key with the scope {needed}."
