"""The scope that the key of each command needs, as its help says."""

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


def scope_of(words: str) -> str | None:
    """The scope that the command with these words needs; None if it needs no key."""
    return NEEDED.get(words) or NEEDED.get(words.split()[0])
