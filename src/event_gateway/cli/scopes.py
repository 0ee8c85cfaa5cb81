"""The scope that the key of each command needs, as its help says."""

from event_gateway.core.access import scope

# By group, or by group and command.
NEEDED = {
    "alerts": scope.WEBHOOKS_READ,
    "alerts silence": scope.WEBHOOKS_MANAGE,
    "alerts unsilence": scope.WEBHOOKS_MANAGE,
    "apply": scope.WEBHOOKS_MANAGE,
    "audit-log": scope.ADMIN,
    "catalog": scope.EVENTS_READ,
    "catalog import": scope.ADMIN,
    "config": scope.ADMIN,
    "dead-letters": scope.DELIVERIES_READ,
    "dead-letters purge": scope.DELIVERIES_MANAGE,
    "dead-letters replay": scope.DELIVERIES_MANAGE,
    "deliveries": scope.DELIVERIES_MANAGE,
    "deliveries list": scope.DELIVERIES_READ,
    "deliveries show": scope.DELIVERIES_READ,
    "doctor": scope.ADMIN,
    "events": scope.EVENTS_READ,
    "events resend": scope.DELIVERIES_MANAGE,
    "expressions": scope.EVENTS_READ,
    "health": scope.METRICS_READ,
    "keys": scope.ADMIN,
    "mcp": scope.EVENTS_READ,
    "listen": scope.STREAMS_READ,
    "reload": scope.ADMIN,
    "send": scope.EVENTS_PUBLISH,
    "trigger": scope.EVENTS_PUBLISH,
    "replay": scope.DELIVERIES_MANAGE,
    "replays": scope.DELIVERIES_MANAGE,
    "replays follow": scope.DELIVERIES_READ,
    "replays list": scope.DELIVERIES_READ,
    "replays show": scope.DELIVERIES_READ,
    "rejected": scope.ADMIN,
    "secrets": scope.SECRETS_MANAGE,
    "secrets reseal": scope.ADMIN,
    "sources": scope.EVENTS_READ,
    "streams": scope.STREAMS_READ,
    "streams hold": scope.ADMIN,
    "streams redact": scope.ADMIN,
    "streams release": scope.ADMIN,
    "subscriptions": scope.STREAMS_READ,
    "tokens": scope.STREAMS_READ,
    "top": scope.METRICS_READ,
    "webhooks": scope.WEBHOOKS_MANAGE,
    "webhooks list": scope.WEBHOOKS_READ,
    "webhooks show": scope.WEBHOOKS_READ,
}


def scope_of(words: str) -> str | None:
    """The scope that the command with these words needs; None if it needs no key."""
    return NEEDED.get(words) or NEEDED.get(words.split()[0])
