"""Pictures of every page, for people to look at: ``make console-pictures`` takes them.

The charts show a past that the test writes (:mod:`support.past`); all else came about by itself."""

import asyncio
import contextlib
import hmac
import os
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from support.client import Client, Socket, event
from support.console import DESKTOP, PHONE, Theme, gateway_and_console, tab
from support.past import make_older, past_of
from support.receiver import Receiver

FOLDER = os.environ.get("CONSOLE_PICTURES")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(1800),  # on a busy machine, several minutes for all pages
    pytest.mark.skipif(FOLDER is None, reason="make console-pictures sets CONSOLE_PICTURES"),
]
CHOSEN = os.environ.get("CONSOLE_PAGES", "").split()
# The pages by the name of their pictures; a group of pages adds its own.
PAGES = {
    "sign-in": "/sign-in",
    "overview": "/",
    "webhooks": "/webhooks",
    "webhook": "/webhooks/crm_orders",
    "webhook-form": "/webhooks/crm_orders/edit",
    "deliveries": "/deliveries",
    "delivery": "/deliveries/analytics/e-49",
    "events": "/events",
    "event": "/events/e-49",
    "streams": "/streams",
    "stream": "/streams/audit_stream",
    "stream-form": "/streams/real_time_schema_changes/edit",
    "tail": "/streams/audit_stream/tail?from=first",
    "compliance": "/streams/audit_stream/compliance",
    "sources": "/sources",
    "source": "/sources/github",
    "source-form": "/sources/github/edit",
    "source-types": "/new-source",
    "event-types": "/event-types",
    "event-type": "/event-types/ontology.schema.created",
    "event-type-form": "/edit-event-type/ontology.schema.created",
    "import": "/import-event-types",
    "rejected": "/rejected",
    "rejected-one": "/rejected/1",
    "alerts": "/alerts",
    "alert-history": "/alerts/history",
    "silence": "/alerts/silence",
    "audit-log": "/audit-log",
    "keys": "/keys",
    "key-form": "/keys/new",
    "secrets": "/secrets",
    "dead-letters": "/dead-letters",
    "dead-letter": "/dead-letters/1",
    "replays": "/replays",
    "system": "/system",
    "configuration": "/system/configuration?set=yes",
}
# By webhook: events a second, and the share of attempts that fail.
PAST = (("crm_orders", 0.9, 0.004), ("analytics", 2.1, 0.05), ("siem", 0.3, 0.35))
SCHEMA = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}},
}
THEMES: tuple[Theme, ...] = ("light", "dark")
SCREENS = {"desktop": DESKTOP, "phone": PHONE}


async def test_pictures(tmp_path: Path, chromium: Browser, receiver: Receiver) -> None:
    folder = Path(FOLDER or "")
    folder.mkdir(parents=True, exist_ok=True)
    async with (
        gateway_and_console(tmp_path) as console,
        contextlib.AsyncExitStack() as stack,
    ):
        await _fill(console.client, receiver)
        await make_older(console.client.nats, [name for name, _, _ in PAST])
        live = await stack.enter_async_context(console.client.websocket())
        await _fill_others(console.client, live)
        past = await stack.enter_async_context(past_of(console.redis, PAST))
        for screen, size in SCREENS.items():
            for theme in THEMES:
                async with tab(chromium, console.url, screen=size, theme=theme) as shown:
                    for name, path in PAGES.items():
                        if path != "/sign-in" and shown.page.url.endswith(("/sign-in", "blank")):
                            await shown.sign_in(console.key)
                        if CHOSEN and name not in CHOSEN:
                            continue
                        await past.write()  # up to now
                        await shown.open(path)
                        await shown.page.wait_for_timeout(400)  # charts are drawn
                        await shown.page.screenshot(
                            path=folder / f"{name}-{screen}-{theme}.png", full_page=True
                        )


async def _fill(client: Client, receiver: Receiver) -> None:
    """A gateway as one in use: webhooks that work, that fail and that wait."""
    receiver.answers["/flaky"] = [500 if number % 9 == 0 else 200 for number in range(5000)]
    receiver.answers["/dead"] = [503]
    # The first failures are dead letters, before the circuit breaker opens.
    for name, path, events in (
        ("crm_orders", "/crm", ["ontology.schema.*"]),
        ("analytics", "/flaky", ["terminus.commit.>", "ontology.>"]),
        ("siem", "/dead", ["audit.events.*", "ontology.violation.*"]),
        ("partner_portal", "/partner", ["user.authenticated"]),
    ):
        await client.webhook(
            id=name, url=receiver.url + path, events=events,
            description=f"Events for {name.replace('_', ' ')}",
            **({"retry_policy": {"max_attempts": 1}} if name in ("analytics", "siem") else {}),
        )  # fmt: skip
    await client.http.patch("/v1/webhooks/partner_portal", json={"enabled": False})
    sent = [
        event(kind, {"namespace": "customer", "name": f"Schema {number}", "fields": [1, 2, 3]},
              subject=f"schema/{number}")
        for number in range(15)
        for kind in ("ontology.schema.created", "terminus.commit.created", "audit.events.login",
                     "user.authenticated")
    ]  # fmt: skip
    await client.send(sent)
    await client.until("siem", sent[-2]["id"], "dead_letter", "pending", "retrying")


async def _fill_others(client: Client, live: Socket) -> None:
    """Streams with a subscriber, event types, rejected input, a silence, keys and secrets."""
    changes = ["ontology.schema.*", "ontology.violation.*", "terminus.commit.*"]
    await _post(client, "/v1/streams", name="audit_stream", subjects=["audit.events.*"],
                retention="2y", max_messages=100_000_000, compliance=True)  # fmt: skip
    await _post(client, "/v1/streams", name="real_time_schema_changes", subjects=changes)
    await _post(client, "/v1/streams/audit_stream/holds", reason="Case 4711, until the verdict")
    await _fill_sources(client)
    start = {"from": "first"}
    await live.request(action="subscribe", stream="audit_stream", durable="reports", **start)
    example = {"namespace": "customer", "name": "Person", "fields": [1, 2]}
    for kind in ("created", "updated", "deleted"):
        await _post(
            client, "/v1/event-types",
            type=f"ontology.schema.{kind}", owner="ontology-team", schema=SCHEMA, enforce="warn",
            description=f"A schema of the ontology was {kind}", examples=[example],
        )  # fmt: skip
    await client.nats.publish("user.authenticated", b'{"specversion": "1.0", "type": 5}')
    await client.nats.publish("audit.events.login", b"not json at all")
    await _post(client, "/v1/alerts/silences", name="delivery_lag", duration="1d",
                comment="The archive is being moved")  # fmt: skip
    for name, scopes, more in (
        ("crm-service", ["events:publish", "webhooks:manage"], {"namespaces": ["customer"]}),
        ("dashboard", ["streams:read", "metrics:read"], {"expires_in": "90d"}),
    ):
        await _post(client, "/v1/keys", name=name, scopes=scopes, **more)
    for name in ("siem_token", "crm_token"):
        await client.http.put(f"/v1/secrets/{name}", json={"value": "a-value-of-some-length"})
    await client.http.patch("/v1/webhooks/crm_orders", json={
        "security": {"auth_type": "bearer_token", "secret_name": "crm_token"},
        "description": "Orders of the CRM",
    })  # fmt: skip
    await client.http.delete("/v1/webhooks/nothing")
    await asyncio.sleep(3)  # alerts fire


async def _fill_sources(client: Client) -> None:
    """Sources: one that takes and refuses, one without its secret, one that is off."""
    for name, kind, text in (
        ("github", "github", "Pushes and releases of the platform's repositories"),
        ("payments", "stripe", "Invoices and refunds"), ("chat", "slack", "Mentions"),
    ):  # fmt: skip
        await _post(
            client, "/v1/sources", name=name, type=kind, description=text,
            secret_name=f"{name}_secret", keep_refused=True, enabled=name != "chat",
        )  # fmt: skip
    await client.http.put("/v1/secrets/github_secret", json={"value": "a-value-of-some-length"})
    body = b'{"ref": "refs/heads/main", "repository": {"full_name": "octocat/hello-world"}}'
    for number in range(14):
        secret = b"another" if number % 7 == 5 else b"a-value-of-some-length"
        await client.http.post("/v1/sources/github", content=body, headers={
            "X-GitHub-Event": "push", "X-GitHub-Delivery": f"72d3162e-cc78-{number}",
            "X-Hub-Signature-256": f"sha256={hmac.new(secret, body, 'sha256').hexdigest()}",
            "Content-Type": "application/json",
        })  # fmt: skip


async def _post(client: Client, path: str, **body: Any) -> None:
    answer = await client.http.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
