"""Scopes: what a caller may do."""

EVENTS_PUBLISH = "events:publish"
EVENTS_READ = "events:read"
STREAMS_READ = "streams:read"
WEBHOOKS_READ = "webhooks:read"
WEBHOOKS_MANAGE = "webhooks:manage"
DELIVERIES_READ = "deliveries:read"
DELIVERIES_MANAGE = "deliveries:manage"
SECRETS_MANAGE = "secrets:manage"
METRICS_READ = "metrics:read"
ADMIN = "admin"

SCOPES = {
    EVENTS_PUBLISH: "Publish events.",
    EVENTS_READ: "Read the log, event types and inbound sources, and evaluate expressions.",
    STREAMS_READ: "Read streams, subscribe to them, and issue tokens for browsers.",
    WEBHOOKS_READ: "Read webhooks, alerts and the overview, match events, preview requests.",
    WEBHOOKS_MANAGE: "All of webhooks:read; register, change, try and delete webhooks.",
    DELIVERIES_READ: "Read deliveries, their attempts, dead letters and replays.",
    DELIVERIES_MANAGE: "All of deliveries:read; retry, cancel, resend and replay deliveries.",
    SECRETS_MANAGE: "List, set, rotate and delete secrets.",
    METRICS_READ: "Read the metrics and the health.",
    ADMIN: "All of the above; without narrowing also what concerns the whole installation.",
}
"""Every scope, and what it allows."""

INCLUDED_IN = {WEBHOOKS_READ: WEBHOOKS_MANAGE, DELIVERIES_READ: DELIVERIES_MANAGE}
"""The scopes that another scope includes, beside ``admin``, which includes all."""
