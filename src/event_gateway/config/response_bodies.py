"""Webhooks, streams and sources as the API shows them."""

from typing import Any

import msgspec

from event_gateway.core.matching.selection import selection_values
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import Hold, StreamDefinition
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import format_duration
from event_gateway.core.webhook.webhook import Webhook


def webhook_to_json(webhook: Webhook) -> dict[str, Any]:
    """A webhook as the API shows it, with the names of secrets, never their values.

    Its verification is as far as the registry knows it.
    """
    policy, rate = webhook.retry_policy, webhook.rate_limit
    verified = webhook.verified if webhook.is_verified else None
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": list(webhook.events),
        **_as_json(selection_values(webhook)),
        "transformation": webhook.transformation,
        "mode": webhook.mode,
        "method": webhook.method,
        "content_type": webhook.content_type,
        "batch": {
            "max_events": webhook.batch.max_events,
            "max_bytes": webhook.batch.max_bytes,
            "max_wait": format_duration(webhook.batch.max_wait),
        },
        "retry_policy": {
            "max_attempts": policy.max_attempts,
            "backoff": policy.backoff,
            "initial_delay": format_duration(policy.initial_delay),
            "multiplier": policy.multiplier,
            "max_delay": format_duration(policy.max_delay),
            "schedule": [format_duration(delay) for delay in policy.schedule] or None,
            "jitter": policy.jitter,
            "max_age": None if policy.max_age is None else format_duration(policy.max_age),
        },
        "retry_on": webhook.retry_on
        and [int(entry) if entry.isdigit() else entry for entry in webhook.retry_on],
        "timeout": format_duration(webhook.timeout),
        "concurrency": webhook.concurrency,
        "rate_limit": None
        if rate is None
        else {"events": rate.events, "per": format_duration(rate.per)},
        "circuit_breaker": {
            "failure_threshold": webhook.circuit_breaker.failure_threshold,
            "open_for": format_duration(webhook.circuit_breaker.open_for),
        },
        "disable_after": format_duration(webhook.disable_after),
        "ordered": {"by": webhook.ordered_by} if webhook.ordered_by else webhook.ordered,
        "verify": webhook.verify,
        "tls": {"ca": webhook.tls.ca or None},
        "headers": dict(webhook.headers),
        "enrich": webhook.enrich,
        "security": [msgspec.to_builtins(settings) for settings in webhook.security],
        "enabled": webhook.enabled,
        "description": webhook.description,
        "metadata": dict(webhook.metadata),
        "renamed_from": webhook.renamed_from,
        "managed_by": webhook.managed_by,
        "owner": list(webhook.owner),
        "created_at": rfc3339(webhook.created_at),
        "state": webhook.state,
        "verification": {
            "verified_at": verified and rfc3339(verified.at),
            "allowed_rate": verified and verified.rate,
            "last_error": None,
            "next_try_at": None,
        }
        if webhook.verify
        else None,
        "disabled": webhook.disabled
        and {"reason": webhook.disabled.reason, "at": rfc3339(webhook.disabled.at)},
    }


def _as_json(value: Any) -> Any:
    """The value encoded and decoded as JSON: tuples become lists, so that models accept it."""
    return msgspec.json.decode(msgspec.json.encode(value))


def hold_to_json(hold: Hold) -> dict[str, Any]:
    """A legal hold as the API shows it."""
    return {
        "id": hold.id,
        "reason": hold.reason,
        "placed_at": rfc3339(hold.placed_at),
        "placed_by": hold.placed_by,
    }


def stream_to_json(definition: StreamDefinition) -> dict[str, Any]:
    """A stream as the API shows it."""
    retention = definition.retention
    return {
        "name": definition.name,
        "subjects": list(definition.subjects),
        "retention": None if retention is None else format_duration(retention),
        "max_messages": definition.max_messages,
        "max_bytes": definition.max_bytes,
        "compliance": definition.compliance,
        "holds": [hold_to_json(hold) for hold in definition.holds],
        "sealed_by": definition.sealed_by,
        "compression": definition.compression,
        "replicas": definition.replicas,
        "managed_by": definition.managed_by,
        "created_at": rfc3339(definition.created_at),
    }


def source_to_json(definition: SourceDefinition) -> dict[str, Any]:
    """A source as the API shows it: of the settings, those that it has. Secrets are named."""
    tolerance = definition.tolerance
    return {
        "name": definition.name,
        "type": definition.type,
        **_as_json(msgspec.to_builtins(definition.settings)),
        "event": msgspec.to_builtins(definition.event),
        "tolerance": None if tolerance is None else format_duration(tolerance),
        "keep_refused": definition.keep_refused,
        "enabled": definition.enabled,
        "description": definition.description,
        "managed_by": definition.managed_by,
        "created_at": rfc3339(definition.created_at),
    }
