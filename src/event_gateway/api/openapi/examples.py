"""Examples of bodies and answers for the OpenAPI document, by the id of the operation.

Every operation that takes JSON has one for its body. A test holds them against their schemas.
"""

from typing import Any

_EVENT = {
    "specversion": "1.0", "id": "42", "source": "shop", "type": "orders.placed",
    "subject": "orders/42", "time": "2026-05-04T03:02:01Z", "datacontenttype": "application/json",
    "data": {"namespace": "customer", "total": 7},
}  # fmt: skip
_KEY = {"name": "shop", "scopes": ["events:publish"], "namespaces": ["customer"]}
_REPLAY = {
    "id": "r19fd3a7b2c0", "of": "log", "webhook": "orders", "stream": "GATEWAY_EVENTS",
    "types": ["orders.>"], "reason": None, "since": "2026-05-04T00:00:00.000Z", "until": None,
    "from_seq": 1, "until_seq": 120, "dry_run": False, "created_at": "2026-05-04T03:02:01.000Z",
    "state": "running", "progress": 0.5, "position": 60, "looked_at": 60, "matched": 12,
    "queued": 12, "skipped": 0, "error": None, "updated_at": "2026-05-04T03:02:02.000Z",
    "ended_at": None,
}  # fmt: skip
_DELIVERY = {
    "webhook_id": "orders", "event_id": "42", "source": "shop", "status": "succeeded",
    "updated_at": "2026-05-04T03:02:01.120Z", "last_error": None, "next_attempt_at": None,
    "stream": "GATEWAY_EVENTS", "sequence": 17, "run": 1, "repeats": None,
}  # fmt: skip
_VALUE = {"value": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"}

# Of the body of a request.
BODIES: dict[str, Any] = {
    "publish_events": _EVENT,
    "resend_event": {"source": "shop", "webhooks": ["orders"], "dry_run": True},
    "change_webhooks": {"action": "disable", "metadata": {"team": "crm"}, "dry_run": True},
    "change_deliveries": {"action": "retry", "webhook": "orders", "status": ["retrying"]},
    "create_webhook": {
        "id": "orders", "url": "https://crm.example.com/hook", "events": ["orders.>"],
        "filters": [{"field": "data.total", "operator": "gt", "value": 5}],
        "retry_policy": {"max_attempts": 8, "backoff": "exponential", "initial_delay": "5s"},
        "security": [{"auth_type": "bearer_token", "secret_name": "crm_token"}],
    },
    "replace_webhook": {"url": "https://crm.example.com/hook", "events": ["orders.>"]},
    "change_webhook": {"enabled": False, "rate_limit": {"events": 10, "per": "1s"}},
    "try_webhook": {"event": _EVENT},
    "rotate_signing_key": _VALUE | {"overlap": "24h"},
    "check_webhook": {
        "webhook": {
            "id": "orders", "url": "https://crm.example.com/hook", "events": ["orders.>"],
        },
        "events": [_EVENT],
    },
    "match_webhooks": {"event": _EVENT},
    "evaluate_expression": {
        "dialect": "cel", "expression": "event.data.total > 5", "event": _EVENT,
    },
    "preview_transformation": {"event": _EVENT, "transformation": "crm_format"},
    "create_stream": {"name": "orders", "subjects": ["orders.>"], "retention": "30d"},
    "change_stream": {"retention": "90d", "max_messages": None},
    "redact": {"subject": "u-4711"},
    "place_hold": {"reason": "case 4711, until the court has decided"},
    "stamp_anchor": {"kind": "rfc3161", "value": "MIIKkTADAgEAMIIKiAYJKoZIhvcNAQcCoIIKeTCCCnU="},
    "create_source": {
        "name": "gh", "type": "github", "secret_name": "gh_secret",
        "event": {"type": "github.{x-github-event}"},
    },
    "replace_source": {"type": "github", "secret_name": "gh_secret", "keep_refused": True},
    "change_source": {"enabled": False, "description": None},
    "try_source": {
        "headers": {"X-GitHub-Event": "push", "X-GitHub-Delivery": "72d3162e",
                    "X-Hub-Signature-256": "sha256=…"},
        "body": "{}", "received_at": "2026-05-04T03:02:01Z",
    },
    "create_key": _KEY | {"expires_in": "30d"},
    "change_key": {"name": "shop", "expires_in": None},
    "rotate_key": {"overlap": "24h"},
    "create_token": {"streams": ["orders"], "expires_in": "5m"},
    "set_secret": {"value": "the token", "namespaces": ["customer"]},
    "change_secret": {"namespaces": ["customer", "partner"]},
    "rotate_secret": _VALUE | {"overlap": "24h"},
    "create_event_type": {
        "type": "orders.placed", "description": "An order was placed.", "enforce": "warn",
        "schema": {"type": "object", "properties": {"total": {"type": "number"}}},
    },
    "change_event_type": {"enforce": "reject", "dataschema": None},
    "put_event_type": {"description": "An order was placed.", "enforce": "reject"},
    "create_replay": {
        "webhook": "orders", "since": "2026-05-04T00:00:00Z", "types": ["orders.>"],
        "dry_run": True,
    },
    "replay_dead_letters": {"webhook": "orders", "reason": "ServerError"},
    "create_silence": {"webhook": "orders", "duration": "2h", "comment": "maintenance"},
    "decide_repair": {"reread": True},
    "reload_configuration": {"dry_run": True},
}  # fmt: skip

# Of the answer that tells of success.
ANSWERS: dict[str, Any] = {
    "publish_events": {
        "accepted": 1, "duplicates": 0,
        "items": [{"id": "42", "sequence": 17, "duplicate": False}],
    },
    "match_webhooks": {
        "matched": ["orders"], "matched_count": 1, "next": None,
        "total": 1, "total_is_estimate": False,
        "items": [{"webhook_id": "orders", "matches": True, "state": "active", "failed": None}],
    },
    "evaluate_expression": {"value": True, "errors": []},
    "list_deliveries": {
        "items": [_DELIVERY | {"attempts": 1}], "next": None, "total": 1,
        "total_is_estimate": False,
    },
    "create_replay": _REPLAY,
    "show_replay": _REPLAY,
    "create_key": {
        "id": "k7Q2", "key": "egk_k7Q2_…", **_KEY, "types": None, "streams": None, "limits": None,
        "created_at": "2026-05-04T03:02:01.000Z", "created_by": "admin",
        "expires_at": "2026-06-03T03:02:01.000Z", "rotated_at": None, "former_until": None,
        "used_at": None, "managed_by": "api", "file": None, "warnings": [],
    },
    "set_secret": {
        "name": "crm_token", "from": "sealed", "namespaces": ["customer"],
        "sealed": {"updated_at": "2026-05-04T03:02:01.000Z", "key_id": "3f1c", "readable": True,
                   "former_until": []},
        "used_by": ["orders"], "used_by_sources": [],
    },
}  # fmt: skip


def add_examples(operation: dict[str, Any]) -> None:
    """Adds the examples of an operation to its description in the OpenAPI document."""
    name = operation["operationId"]
    if name in BODIES:
        for media, described in operation["requestBody"]["content"].items():
            if "json" in media and "batch" not in media:
                described["example"] = BODIES[name]
    if name in ANSWERS:
        status = min(operation["responses"])
        operation["responses"][status]["content"]["application/json"]["example"] = ANSWERS[name]
