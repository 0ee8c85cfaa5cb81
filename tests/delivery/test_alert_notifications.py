"""The templates of the guide on alert notifications make what the services document."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from support.client import Client
from support.fixtures import Start
from support.receiver import Receiver

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "alert-notifications.md"
VALUES = {
    "PAGERDUTY_ROUTING_KEY": "0123456789abcdef0123456789abcdef",
    "ALERT_MAIL_TO": "ops@example.com", "ALERT_MAIL_FROM": "gateway@example.com",
}  # fmt: skip
ALERT: dict[str, Any] = {
    "name": "webhook_down", "webhook": "crm", "state": "firing", "action": "trigger",
    "severity": "critical",
    "detail": 'the last 20 attempts failed, the latest with "ServerError"', "value": 20,
    "threshold": 20, "since": "2026-05-04T03:02:01Z", "runbook": "https://example.com/runbook",
    "labels": {"alertname": "webhook_down", "severity": "critical", "webhook": "crm"},
}  # fmt: skip
OVER_ALL = ALERT | {
    "name": "high_error_rate", "webhook": None, "severity": "warning",
    "labels": {"alertname": "high_error_rate", "severity": "warning"},
}  # fmt: skip
ENDED = {
    "state": "resolved",
    "action": "resolve",
    "resolved_at": "2026-05-04T04:02:01Z",
    "reason": "succeeded again",
}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": required.split(),
        "additionalProperties": False,
    }  # fmt: skip


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TIME = {"type": "string", "format": "date-time"}
LABELS = {"type": "object", "additionalProperties": {"type": "string"}}
# Slack: reference of blocks, composition objects; incoming webhooks.
PLAIN = _object("type text", type={"const": "plain_text"}, text=_text(3000))
HEADER = _object("type text", type={"const": "plain_text"}, text=_text(150))
SLACK = _object("text", text=_text(4000), blocks=_list({"anyOf": [
    _object("type text", type={"const": "header"}, text=HEADER),
    _object("type text", type={"const": "section"}, text=PLAIN),
    _object("type elements", type={"const": "context"}, elements=_list(PLAIN)),
]}))  # fmt: skip
# PagerDuty: Events API v2, "Send an alert event".
KEYS = {"routing_key": {"type": "string", "pattern": "^[0-9a-f]{32}$"}, "dedup_key": _text(255)}
PAGERDUTY = _object(
    "routing_key event_action dedup_key payload", **KEYS,
    event_action={"enum": ["trigger", "acknowledge", "resolve"]},
    payload=_object(
        "summary source severity", summary=_text(1024), source=_text(255),
        severity={"enum": ["critical", "error", "warning", "info"]}, timestamp=TIME,
        component=_text(255), custom_details={"type": "object"}, **{"class": _text(255)},
    ),
    links=_list(_object("href", href={"type": "string", "format": "uri"}, text=_text(255))),
)  # fmt: skip
# SendGrid: POST /v3/mail/send.
ADDRESS = _object("email", email={"type": "string", "format": "email"}, name=_text(100))
MAIL = _object(
    "personalizations from subject content",
    personalizations=_list(_object("to", to=_list(ADDRESS))), subject=_text(200),
    content=_list(_object("type value", type={"const": "text/plain"}, value=_text(5000))),
    **{"from": ADDRESS},
)  # fmt: skip
# Alertmanager: api/v2/openapi.yaml, postableAlerts.
ALERTMANAGER = _list(_object(
    "labels", labels=LABELS, annotations=LABELS, startsAt=TIME, endsAt=TIME,
    generatorURL={"type": "string", "format": "uri"},
))  # fmt: skip
SHAPES = {
    "slack": SLACK, "slack_failures": SLACK, "pagerduty": PAGERDUTY,
    "mail": MAIL, "alertmanager": ALERTMANAGER,
}  # fmt: skip


def configuration(receiver: Receiver) -> dict[str, Any]:
    """The configuration in the guide, with the URLs of the receiver: a path for each webhook."""
    merged: dict[str, Any] = {"transformations": {}, "webhooks": {}}
    text = GUIDE.read_text()
    for name, value in VALUES.items():
        text = text.replace(f"${{{name}}}", value)
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        part = yaml.safe_load(block)
        for key in merged:
            merged[key] |= part[key]
    for name, webhook in merged["webhooks"].items():
        webhook["url"] = f"{receiver.url}/{name}"
    return merged


async def _publish(client: Client, event_type: str, subject: str, data: Any, number: int) -> None:
    event = {
        "specversion": "1.0", "id": f"alert-{number}", "source": "event-gateway",
        "type": event_type,
        "subject": subject, "time": "2026-05-04T03:02:01Z", "data": data,
    }  # fmt: skip
    await client.nats.jetstream().publish(event_type, json.dumps(event).encode())


async def test_what_the_services_get(start: Start, connect: Start, receiver: Receiver) -> None:
    config = configuration(receiver)
    assert set(config["webhooks"]) == set(SHAPES)
    client: Client = await connect(await start(config))
    answer = await client.http.put("/v1/secrets/sendgrid_key", json={"value": "SG.key"})
    assert answer.status_code in (200, 201, 204), answer.text
    down, rate = "alert/webhook_down/crm", "alert/high_error_rate"
    await _publish(client, "gateway.alert.firing", down, ALERT, 1)
    await _publish(client, "gateway.alert.firing", rate, OVER_ALL, 2)
    await _publish(client, "gateway.alert.resolved", down, ALERT | ENDED, 3)
    dead = {"webhook_id": "crm", "event_id": "1", "reason": "ServerError", "attempts": 3}
    await _publish(client, "webhook.dead_lettered", "webhook/crm", dead, 4)
    bodies: dict[str, list[Any]] = {}
    for name, count in (("slack", 3), ("slack_failures", 1), ("pagerduty", 3),
                        ("mail", 3), ("alertmanager", 3)):  # fmt: skip
        requests = await receiver.until(count, f"/{name}")
        assert {came.headers["content-type"] for came in requests} == {"application/json"}
        bodies[name] = [came.json for came in requests]
        for body in bodies[name]:
            jsonschema.Draft202012Validator(
                SHAPES[name], format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
            ).validate(body)
    assert {body["text"] for body in bodies["slack"]} == {
        "FIRING: webhook_down (crm)", "FIRING: high_error_rate (all webhooks)",
        "RESOLVED: webhook_down (crm)",
    }  # fmt: skip
    assert [(body["event_action"], body["dedup_key"]) for body in bodies["pagerduty"]] == [
        ("trigger", f"event-gateway/{down}"), ("trigger", f"event-gateway/{rate}"),
        ("resolve", f"event-gateway/{down}"),
    ]  # fmt: skip
    (mail, *_) = receiver.requests_to("/mail")
    assert mail.headers["authorization"] == "Bearer SG.key"
    assert "Runbook: https://example.com/runbook\n" in mail.json["content"][0]["value"]
    fired, _, resolved = (body[0] for body in bodies["alertmanager"])  # in order
    assert fired["labels"] == resolved["labels"] == ALERT["labels"]
    assert (fired["endsAt"], resolved["endsAt"]) == (
        "2100-01-01T00:00:00Z", ENDED["resolved_at"],
    )  # fmt: skip
