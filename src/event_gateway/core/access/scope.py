"""Scopes: what a caller may do."""

EVENTS_PUBLISH = "events:publish"
EVENTS_READ = "events:read"
STREAMS_READ = "streams:read"
WEBHOOKS_MANAGE = "webhooks:manage"
DELIVERIES_MANAGE = "deliveries:manage"
SECRETS_MANAGE = "secrets:manage"
METRICS_READ = "metrics:read"
ADMIN = "admin"

SCOPES = {
    EVENTS_PUBLISH: "Publish events.",
    EVENTS_READ: "Read the log and the event types, match events, and evaluate expressions.",
    STREAMS_READ: "Read streams, subscribe to them, and issue tokens for browsers.",
    WEBHOOKS_MANAGE: "List, register, change, try and delete webhooks.",
    DELIVERIES_MANAGE: "List, retry, cancel and replay deliveries, also dead letters.",
    SECRETS_MANAGE: "List, set, rotate and delete secrets.",
    METRICS_READ: "Read the metrics and the health.",
    ADMIN: "All of the above; without narrowing also what concerns the whole installation.",
}
"""Every scope, and what it allows."""
