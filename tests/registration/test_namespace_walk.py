"""A caller of one namespace asks every route, and finds no trace of another namespace."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from event_gateway.cli.process.serve import Running
from event_gateway.core.access.sealing import new_key
from support.canaries import Canaries
from support.client import Client, connected, event
from support.fixtures import Start
from support.narrow_callers import NarrowCaller, NarrowCallers
from support.receiver import Receiver
from support.routes import operations_of

STREAM = "orders"
SUBJECT, CORRELATION = "orders/1", "correlation-1"
# Every route and what a caller of one namespace asks it: {…} are ids, {other…} those of others.
# A route that is not here makes the test fail: say what the caller may see there.
EVENT = {"event": event("shop.order.paid", {"namespace": "customer"})}
OPERATORS = 403  # the route is for operators
REQUESTS: dict[str, list[tuple[str, int, Any]]] = {
    "POST /v1/events": [],  # see the test of publishing
    "GET /v1/events": [
        ("/v1/events", 200, None), ("/v1/events?limit=1", 200, None),
        ("/v1/events?type=%3E", 200, None), ("/v1/events?type=webhook.%3E", 200, None),
        (f"/v1/events?subject={SUBJECT}", 200, None), ("/v1/events?source=tests", 200, None),
    ],
    "GET /v1/events/{event_id}": [
        ("/v1/events/{otherevent}", 404, None), ("/v1/events/{oldevent}", 404, None),
        ("/v1/events/{sentid}", 200, None),
        ("/v1/events/{sentid}?webhook=mine&body=true", 200, None),
        ("/v1/events/{sentid}?webhook={other}", 404, None),
    ],
    "POST /v1/events/{event_id}/resend": [
        ("/v1/events/{otherevent}/resend", 404, {}), ("/v1/events/{oldevent}/resend", 404, {}),
        ("/v1/events/{sentid}/resend", 404, {"webhooks": ["{other}"]}),
        ("/v1/events/{sentid}/resend", 202, {"dry_run": True}),
    ],
    "OPTIONS /v1/events": [("/v1/events", 200, None)],
    "GET /.well-known/webhook-keys.json": [("/.well-known/webhook-keys.json", 200, None)],
    "GET /v1/webhooks": [
        ("/v1/webhooks", 200, None), ("/v1/webhooks?limit=1", 200, None),
        ("/v1/webhooks?cursor=ImEi", 200, None),
    ],
    "POST /v1/webhooks": [
        ("/v1/webhooks", 409, {"id": "{other}", "url": "{url}", "events": ["shop.>"]}),
        ("/v1/webhooks", 409, {"id": "fromfile", "url": "{url}", "events": ["shop.>"]}),
        ("/v1/webhooks", 422, {"id": "new", "url": "{url}", "events": ["shop.>"],
                               "transformation": "none"}),
        ("/v1/webhooks", 422, {"id": "new", "url": "{url}", "events": ["shop.>"], "security":
                               {"auth_type": "bearer_token", "secret_name": "{othersecret}"}}),
        ("/v1/webhooks", 422, {"id": "new", "url": "{url}", "events": [">"]}),
        ("/v1/webhooks", 422, {"id": "new", "url": "{url}", "events": ["webhook.>"]}),
        ("/v1/webhooks", 201, {"id": "new", "url": "{url}", "events": ["shop.>"]}),
    ],
    "POST /v1/webhooks/bulk": [
        ("/v1/webhooks/bulk", 200, {"action": "disable", "all": True, "dry_run": True}),
        ("/v1/webhooks/bulk", 200, {"action": "disable", "owner": "rival"}),
        ("/v1/webhooks/bulk", 200, {"action": "enable", "event": ">"}),
    ],
    "POST /v1/deliveries/bulk": [
        ("/v1/deliveries/bulk", 404, {"action": "retry", "webhook": "{other}"}),
        ("/v1/deliveries/bulk", 404, {"action": "cancel", "webhook": "fromfile"}),
        ("/v1/deliveries/bulk", 200, {"action": "cancel", "webhook": "reused", "status": [
            "pending", "in_progress", "retrying", "succeeded", "dead_letter"]}),
        ("/v1/deliveries/bulk", 200, {"action": "retry", "webhook": "mine", "dry_run": True}),
    ],
    "POST /v1/webhooks/match": [
        ("/v1/webhooks/match", 200, EVENT),
        ("/v1/webhooks/match?webhook={other}", 404, EVENT),
        ("/v1/webhooks/match", 422, {"event": event("shop.order.paid", {"namespace": "x"})}),
    ],
    "POST /v1/webhooks/check": [
        ("/v1/webhooks/check", 200, {"webhook": {
            "id": "{other}", "url": "https://a.example.com/", "events": ["shop.>"]}}),
        ("/v1/webhooks/check", 422, {
            "webhook": {"id": "w", "url": "https://a.example.com/", "events": ["shop.>"]},
            "events": [event("shop.order.paid", {"namespace": "x"})]}),
    ],
    "POST /v1/expressions/evaluate": [
        ("/v1/expressions/evaluate", 200, EVENT | {"expression": "event.data.x / 0"}),
    ],
    "POST /v1/transformations/preview": [
        ("/v1/transformations/preview", 422, EVENT | {"transformation": "unknown"}),
        ("/v1/transformations/preview", 422, EVENT | {"transformation": "{transformation}"}),
        ("/v1/transformations/preview", 404, EVENT | {"webhook": "{other}"}),
        ("/v1/transformations/preview", 200, {"event": "{sent}", "webhook": "mine"}),
        ("/v1/transformations/preview", 200, {"event": "{sent}", "transformation": "standard"}),
    ],
    "GET /v1/dead-letters": [
        ("/v1/dead-letters", 200, None), ("/v1/dead-letters?webhook={other}", 200, None),
        ("/v1/dead-letters?type=%3E&limit=1", 200, None),
    ],
    "DELETE /v1/dead-letters": [
        ("/v1/dead-letters?all=true&dry_run=true", 200, None),
        ("/v1/dead-letters?webhook={other}", 200, None),
        ("/v1/dead-letters?webhook=reused", 200, None), ("/v1/dead-letters?all=true", 200, None),
    ],
    "GET /v1/dead-letters/{letter_id}": [
        ("/v1/dead-letters/{otherletter}", 404, None), ("/v1/dead-letters/{oldletter}", 404, None),
    ],
    "DELETE /v1/dead-letters/{letter_id}": [
        ("/v1/dead-letters/{otherletter}", 404, None), ("/v1/dead-letters/{oldletter}", 404, None),
    ],
    "POST /v1/dead-letters/replay": [
        ("/v1/dead-letters/replay", 422, {"all": True}),
        ("/v1/dead-letters/replay", 422, {"reason": "ServerError"}),
        ("/v1/dead-letters/replay", 404, {"webhook": "{other}"}),
        ("/v1/dead-letters/replay", 404, {"ids": ["{otherletter}"]}),
        ("/v1/dead-letters/replay", 202, {"webhook": "reused", "dry_run": True}),
        ("/v1/dead-letters/replay", 202, {"webhook": "reused"}),
    ],
    "POST /v1/replays": [
        ("/v1/replays", 404, {"webhook": "{other}", "from_seq": 1}),
        ("/v1/replays", 202, {"webhook": "mine", "from_seq": 1, "dry_run": True}),
        ("/v1/replays", 422, {"webhook": "mine", "from_seq": 1, "stream": "NONE"}),
    ],
    "GET /v1/replays": [("/v1/replays", 200, None), ("/v1/replays?limit=1", 200, None)],
    "GET /v1/replays/{replay_id}": [("/v1/replays/{otherreplay}", 404, None)],
    "POST /v1/replays/{replay_id}/pause": [("/v1/replays/{otherreplay}/pause", 404, None)],
    "POST /v1/replays/{replay_id}/resume": [("/v1/replays/{otherreplay}/resume", 404, None)],
    "POST /v1/replays/{replay_id}/cancel": [("/v1/replays/{otherreplay}/cancel", 404, None)],
    "GET /v1/webhooks/{webhook_id}/deliveries": [
        ("/v1/webhooks/{other}/deliveries", 404, None),
        ("/v1/webhooks/fromfile/deliveries", 404, None),
        ("/v1/webhooks/reused/deliveries", 200, None),
        ("/v1/webhooks/mine/deliveries", 200, None),
    ],
    "GET /v1/deliveries": [
        ("/v1/deliveries", 200, None), ("/v1/deliveries?status=pending", 200, None),
        ("/v1/deliveries?webhook={other}", 404, None),
        ("/v1/deliveries?type=shop.>", 200, None),
    ],
    "GET /v1/deliveries/{webhook_id}/{event_id}": [
        ("/v1/deliveries/{other}/{otherevent}", 404, None),
        ("/v1/deliveries/reused/{oldevent}", 404, None),
        ("/v1/deliveries/mine/{otherevent}", 404, None),
        ("/v1/deliveries/mine/{sentid}", 200, None),
    ],
    "POST /v1/deliveries/{webhook_id}/{event_id}/retry": [
        ("/v1/deliveries/{other}/{otherevent}/retry", 404, None),
        ("/v1/deliveries/reused/{oldevent}/retry", 404, None),
    ],
    "POST /v1/deliveries/{webhook_id}/{event_id}/cancel": [
        ("/v1/deliveries/{other}/{otherevent}/cancel", 404, None),
        ("/v1/deliveries/reused/{oldevent}/cancel", 404, None),
    ],
    "GET /v1/webhooks/{webhook_id}": [
        ("/v1/webhooks/{other}", 404, None), ("/v1/webhooks/fromfile", 404, None),
        ("/v1/webhooks/mine", 200, None), ("/v1/webhooks/reused", 200, None),
    ],
    "PUT /v1/webhooks/{webhook_id}": [
        ("/v1/webhooks/{other}", 404, {"url": "{url}", "events": ["shop.>"]}),
        ("/v1/webhooks/mine", 200, {"url": "{url}", "events": ["shop.>"]}),
    ],
    "PATCH /v1/webhooks/{webhook_id}": [
        ("/v1/webhooks/{other}", 404, {"enabled": False}),
        ("/v1/webhooks/mine", 422, {"namespaces": ["customer", "rival"]}),
        ("/v1/webhooks/mine", 200, {"namespaces": None, "owner": ["rival"]}),
    ],
    "DELETE /v1/webhooks/{webhook_id}": [
        ("/v1/webhooks/{other}", 404, None), ("/v1/webhooks/fromfile", 404, None),
        ("/v1/webhooks/new", 204, None),
    ],
    "POST /v1/webhooks/{webhook_id}/test": [
        ("/v1/webhooks/{other}/test", 404, None), ("/v1/webhooks/mine/test", 200, None),
    ],
    "POST /v1/webhooks/{webhook_id}/rotate-secret": [
        ("/v1/webhooks/{other}/rotate-secret", 404, {"value": "{whsec}"}),
        ("/v1/webhooks/mine/rotate-secret", 409, {"value": "{whsec}"}),
    ],
    "POST /v1/webhooks/{webhook_id}/enable": [
        ("/v1/webhooks/{other}/enable?discard=true", 404, None),
        ("/v1/webhooks/mine/enable?discard=true", 200, None),
    ],
    "POST /v1/webhooks/{webhook_id}/verify": [
        ("/v1/webhooks/{other}/verify", 404, None), ("/v1/webhooks/mine/verify", 200, None),
    ],
    "GET /v1/webhooks/{webhook_id}/stats": [
        ("/v1/webhooks/{other}/stats", 404, None), ("/v1/webhooks/reused/stats", 200, None),
        ("/v1/webhooks/mine/stats", 200, None),
    ],
    "GET /v1/secrets": [
        ("/v1/secrets", 200, None), ("/v1/secrets?limit=1", 200, None),
        ("/v1/secrets?search=canary", 200, None),
    ],
    "POST /v1/reload": [("/v1/reload", OPERATORS, {})],
    "POST /v1/secrets/reseal": [("/v1/secrets/reseal", OPERATORS, None)],
    "GET /v1/secrets/{name}": [
        ("/v1/secrets/{othersecret}", 404, None), ("/v1/secrets/FROM_ENVIRONMENT", 404, None),
        ("/v1/secrets/{waiting}", 404, None),
    ],
    "PUT /v1/secrets/{name}": [
        ("/v1/secrets/{othersecret}", 409, {"value": "x"}),
        ("/v1/secrets/{waiting}", 409, {"value": "x"}),
        ("/v1/secrets/FROM_ENVIRONMENT", 409, {"value": "x"}),
        ("/v1/secrets/own", 422, {"value": "x", "namespaces": ["rival"]}),
        ("/v1/secrets/own", 201, {"value": "x"}),
    ],
    "PATCH /v1/secrets/{name}": [
        ("/v1/secrets/{othersecret}", 404, {"namespaces": ["customer"]}),
        ("/v1/secrets/FROM_ENVIRONMENT", 404, {"namespaces": ["customer"]}),
    ],
    "POST /v1/secrets/{name}/rotate": [
        ("/v1/secrets/{othersecret}/rotate", 404, {"value": "x"}),
        ("/v1/secrets/FROM_ENVIRONMENT/rotate", 404, {"value": "x"}),
    ],
    "DELETE /v1/secrets/{name}": [("/v1/secrets/{othersecret}", 404, None)],
    "GET /v1/streams": [("/v1/streams", 200, None)],
    "POST /v1/streams": [("/v1/streams", OPERATORS, {"name": "s", "subjects": ["a.b"]})],
    "GET /v1/streams/{name}": [("/v1/streams/orders", 200, None)],
    "PATCH /v1/streams/{name}": [("/v1/streams/orders", OPERATORS, {"retention": "1d"})],
    "DELETE /v1/streams/{name}": [("/v1/streams/orders", OPERATORS, None)],
    "GET /v1/streams/{name}/messages": [
        ("/v1/streams/orders/messages", 200, None),
        ("/v1/streams/orders/messages?limit=1", 200, None),
        ("/v1/streams/orders/messages?from_seq=99", 200, None),
    ],
    # The chain and what it covers tell of all events of the stream.
    "GET /v1/streams/{name}/chain": [("/v1/streams/orders/chain", OPERATORS, None)],
    "GET /v1/streams/{name}/anchors": [("/v1/streams/orders/anchors", OPERATORS, None)],
    "GET /v1/streams/{name}/export": [("/v1/streams/orders/export", OPERATORS, None)],
    "GET /v1/streams/{name}/anchors/{sequence}/stamps": [
        ("/v1/streams/orders/anchors/1/stamps", OPERATORS, None)
    ],
    "POST /v1/streams/{name}/anchors/{sequence}/stamps": [
        ("/v1/streams/orders/anchors/1/stamps", OPERATORS, {"kind": "k", "value": "AAAA"})
    ],
    "GET /v1/streams/{name}/holds": [("/v1/streams/orders/holds", OPERATORS, None)],
    "POST /v1/streams/{name}/holds": [("/v1/streams/orders/holds", OPERATORS, {"reason": "r"})],
    "DELETE /v1/streams/{name}/holds/{hold_id}": [
        ("/v1/streams/orders/holds/h-1", OPERATORS, None)
    ],
    "POST /v1/streams/{name}/redactions": [
        ("/v1/streams/orders/redactions", OPERATORS, {"subject": "u"})
    ],
    "GET /v1/streams/{name}/records/{seq}": [("/v1/streams/orders/records/1", OPERATORS, None)],
    "GET /v1/streams/{name}/sse": [],  # see the test of live events
    "GET /v1/ws": [("/v1/ws", 426, None)],
    "GET /v1/source-types": [("/v1/source-types", OPERATORS, None)],
    "GET /v1/sources": [("/v1/sources", OPERATORS, None)],
    "POST /v1/sources": [("/v1/sources", OPERATORS, {"name": "s", "type": "github"})],
    "GET /v1/sources/{name}": [("/v1/sources/s", OPERATORS, None)],
    "POST /v1/sources/{name}": [("/v1/sources/s", 404, {})],
    "OPTIONS /v1/sources/{name}": [("/v1/sources/s", 404, None)],
    "PUT /v1/sources/{name}": [("/v1/sources/s", OPERATORS, {"type": "github"})],
    "PATCH /v1/sources/{name}": [("/v1/sources/s", OPERATORS, {"enabled": False})],
    "DELETE /v1/sources/{name}": [("/v1/sources/s", OPERATORS, None)],
    "POST /v1/sources/{name}/test": [("/v1/sources/s/test", OPERATORS, None)],
    "GET /v1/subscriptions": [
        ("/v1/subscriptions", 200, None), ("/v1/subscriptions?limit=1", 200, None),
        ("/v1/subscriptions?stream=orders", 200, None),
    ],
    "DELETE /v1/subscriptions/{subscription_id}": [
        ("/v1/subscriptions/{othersubscription}", 404, None),
    ],
    "GET /v1/caller": [("/v1/caller", 200, None)],
    "GET /v1/tokens": [("/v1/tokens", 200, None)],
    "POST /v1/tokens": [
        ("/v1/tokens", 422, {"streams": ["none"]}),
        ("/v1/tokens", 403, {"streams": ["orders"], "namespaces": ["rival"]}),
        ("/v1/tokens", 201, {"streams": ["orders"]}),
    ],
    "DELETE /v1/tokens/{token_id}": [("/v1/tokens/{othertoken}", 404, None)],
    "GET /v1/keys": [("/v1/keys", OPERATORS, None)],
    "POST /v1/keys": [("/v1/keys", OPERATORS, {"name": "k", "scopes": ["admin"]})],
    "GET /v1/keys/{key_id}": [("/v1/keys/admin", OPERATORS, None)],
    "PATCH /v1/keys/{key_id}": [("/v1/keys/admin", OPERATORS, {"name": "k"})],
    "DELETE /v1/keys/{key_id}": [("/v1/keys/admin", OPERATORS, None)],
    "POST /v1/keys/{key_id}/rotate": [("/v1/keys/admin/rotate", OPERATORS, {})],
    "GET /v1/event-types": [("/v1/event-types", 200, None)],
    "POST /v1/event-types": [("/v1/event-types", OPERATORS, {"type": "a.b"})],
    "POST /v1/event-types/import": [("/v1/event-types/import", OPERATORS, {})],
    "GET /v1/event-types/{name}": [
        ("/v1/event-types/{othertype}", 404, None), ("/v1/event-types/shop.order.paid", 200, None),
    ],
    "PUT /v1/event-types/{name}": [("/v1/event-types/a.b", OPERATORS, {})],
    "PATCH /v1/event-types/{name}": [("/v1/event-types/a.b", OPERATORS, {})],
    "DELETE /v1/event-types/{name}": [("/v1/event-types/a.b", OPERATORS, None)],
    "GET /asyncapi.json": [("/asyncapi.json", 200, None)],
    "GET /v1/rejected": [("/v1/rejected", OPERATORS, None)],
    "GET /v1/rejected/{seq}": [("/v1/rejected/1", OPERATORS, None)],
    "POST /v1/rejected/{seq}/retry": [("/v1/rejected/1/retry", OPERATORS, None)],
    "POST /v1/repair": [("/v1/repair", OPERATORS, {"reread": True})],
    "POST /v1/repair/loss": [("/v1/repair/loss", OPERATORS, None)],
    "GET /v1/audit-log": [("/v1/audit-log", OPERATORS, None)],
    "GET /v1/audit-log/export": [("/v1/audit-log/export", OPERATORS, None)],
    "GET /v1/audit-log/sse": [("/v1/audit-log/sse", OPERATORS, None)],
    "GET /v1/alerts": [
        ("/v1/alerts", 200, None), ("/v1/alerts?limit=1", 200, None),
        ("/v1/alerts?webhook={other}", 200, None), ("/v1/alerts?state=firing", 200, None),
    ],
    "GET /v1/alerts/history": [
        ("/v1/alerts/history", 200, None), ("/v1/alerts/history?limit=1", 200, None),
        ("/v1/alerts/history?webhook={other}", 200, None),
    ],
    "GET /v1/alerts/silences": [
        ("/v1/alerts/silences", 200, None), ("/v1/alerts/silences?limit=1", 200, None),
    ],
    "POST /v1/alerts/silences": [
        ("/v1/alerts/silences", 404, {"webhook": "{other}", "duration": "1h"}),
        ("/v1/alerts/silences", 404, {"webhook": "fromfile", "duration": "1h"}),
        ("/v1/alerts/silences", OPERATORS, {"name": "webhook_down", "duration": "1h"}),
        ("/v1/alerts/silences", 201, {"webhook": "mine", "duration": "1h"}),
    ],
    "GET /v1/alerts/silences/{silence_id}": [
        ("/v1/alerts/silences/{othersilence}", 404, None),
    ],
    "DELETE /v1/alerts/silences/{silence_id}": [
        ("/v1/alerts/silences/{othersilence}", 404, None),
    ],
    "GET /v1/overview": [("/v1/overview", 200, None)],
    "GET /v1/history": [("/v1/history", 200, None)],
    "GET /v1/history/webhooks": [
        ("/v1/history/webhooks?id=mine&id={other}&id=fromfile&id=reused", 200, None),
    ],
    "GET /v1/webhooks/{webhook_id}/history": [
        ("/v1/webhooks/{other}/history", 404, None), ("/v1/webhooks/reused/history", 200, None),
        ("/v1/webhooks/mine/history", 200, None),
    ],
    "GET /problems/{code}": [("/problems/not-found", 200, None)],
    "GET /healthz": [("/healthz", 200, None)],
    "GET /readyz": [("/readyz", 200, None)],
    "GET /metrics": [("/metrics", OPERATORS, None)],
    "GET /v1/health": [("/v1/health", OPERATORS, None)],
    "GET /v1/config": [("/v1/config", OPERATORS, None)],
    "GET /openapi.json": [("/openapi.json", 200, None)],
    "GET /docs": [("/docs", 200, None)],
    "GET /docs/{name}": [("/docs/none", 404, None)],
    "GET /docs/oauth2-redirect": [("/docs/oauth2-redirect", 200, None)],
    "GET /redoc": [("/redoc", 200, None)],
}  # fmt: skip


def filled(template: Any, values: dict[str, Any]) -> Any:
    """A template with the ids in their places."""
    if isinstance(template, dict):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if not isinstance(template, str):
        return template
    whole = re.fullmatch(r"\{(\w+)\}", template)
    if whole is not None:
        return values[whole[1]]
    return re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]), template)


def texts_in(content: bytes) -> Iterator[bytes]:
    """The content, and each cursor in it as text."""
    yield content
    for cursor in re.findall(rb'"next": ?"([^"]+)"', content):
        yield base64.urlsafe_b64decode(cursor)


ONCE = {"max_attempts": 1}


async def plant(
    client: Client, caller: NarrowCaller, receiver: Receiver, make: Any
) -> dict[str, Any]:
    """Fills the gateway with what is of the namespace ``rival`` and of the operators, and gives the
    caller two webhooks; returns the ids. ``make(name)``: a text that the caller must not find."""
    url = receiver.url
    ids: dict[str, Any] = {
        "url": f"{url}/mine", "other": make("webhook"), "othersecret": make("secret"),
        "waiting": make("waiting"), "othertype": make("type"), "otherevent": make("event"),
        "whsec": "whsec_" + base64.b64encode(b"k" * 32).decode(),
    }  # fmt: skip

    def rival(event_type: str, **attributes: Any) -> dict[str, Any]:
        data = {"namespace": "rival", "n": 0, "text": make("payload")}
        return event(event_type, data, source=make("source"), correlationid=CORRELATION,
                     subject=SUBJECT) | attributes  # fmt: skip

    secret = f"/v1/secrets/{ids['othersecret']}"
    value = {"value": make("secret-value"), "namespaces": ["rival"]}
    assert (await client.http.put(secret, json=value)).status_code == 201
    await client.http.post("/v1/event-types", json={"type": "shop.order.paid"})
    await client.http.post("/v1/event-types", json={
        "type": ids["othertype"], "description": make("description")})  # fmt: skip
    about = {
        "url": f"{url}/{make('url')}", "events": [">"], "retry_policy": ONCE,
        "description": make("webhook-description"), "metadata": {"x": make("metadata")},
        "headers": {"X-Other": make("header")}, "filters": [
            {"field": "data.text", "operator": "exists", "value": True}],
        "expression": 'event.data.namespace == "rival"',
    }  # fmt: skip
    receiver.answers[about["url"].removeprefix(url)] = [500]
    await client.webhook(id="reused", **about)
    old = rival("shop.order.paid", id=make("old-event"))
    ids["oldevent"] = old["id"]
    await client.send(old)
    await client.until("reused", old["id"], "dead_letter")
    ids["oldletter"] = (await client.delivery("reused", old["id"]))["dead_letter"]
    await client.delete_webhook("reused")
    security = {"auth_type": "bearer_token", "secret_name": ids["othersecret"]}
    await client.webhook(id=ids["other"], security=security, **about)
    await client.webhook(
        id=make("waiting-webhook"), url=url, events=["a.b"],
        security={"auth_type": "bearer_token", "secret_name": ids["waiting"]},
    )  # fmt: skip
    failing = {"events": [">"], "expression": f'event.data.n / 0 > 1 || "{make("error")}" == ""'}
    await client.webhook(id=make("failing-webhook"), url=url, **failing)
    await client.send([rival(ids["othertype"], id=make("event-id")) for _ in range(3)])
    await client.send(rival("shop.order.paid", id=ids["otherevent"]))
    await client.until(ids["other"], ids["otherevent"], "dead_letter")
    ids["otherletter"] = (await client.delivery(ids["other"], ids["otherevent"]))["dead_letter"]
    started = await client.http.post("/v1/replays", json={
        "webhook": ids["other"], "from_seq": 1, "types": [make("replayed-type")], "dry_run": True,
    })  # fmt: skip
    ids["otherreplay"] = started.json()["id"]
    token = {"streams": [STREAM], "principal": make("token")}
    silence = {"webhook": ids["other"], "duration": "1h", "comment": make("silence")}
    silenced = await client.http.post("/v1/alerts/silences", json=silence)
    ids["othersilence"] = silenced.json()["id"]
    ids["othertoken"] = (await client.http.post("/v1/tokens", json=token)).json()["id"]
    await client.nats.publish("shop.order.paid", f"no event {make('rejected')}".encode())
    await client.nats.publish("shop.order.paid", json.dumps(rival("shop.order.paid")).encode())
    for name in ("mine", "reused"):
        webhook = {"id": name, "url": f"{url}/{name}", "events": ["shop.>"], "retry_policy": ONCE}
        await caller.ask("POST", "/v1/webhooks", 201, json=webhook)
    sent = event("shop.order.paid", {"namespace": "customer"}, subject=SUBJECT,
                 correlationid=CORRELATION)  # fmt: skip
    await client.webhook(id=make("audit"), url=f"{url}/audit", events=["shop.>"])
    await caller.send(sent)
    return ids | {"sent": sent, "sentid": sent["id"]}


async def test_no_route_tells_of_another_namespace(
    start: Start, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    canaries = Canaries()
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_SEALING_KEY", new_key())
    monkeypatch.setenv("EVENT_GATEWAY_SECRET_FROM_ENVIRONMENT", canaries.make("environment"))
    transformation = canaries.make("transformation")
    gateway: Running = await start({
        "alerts": {"webhook_down": {"failures": 1, "window": "5s"}},
        "streams": {STREAM: {"subjects": ["shop.>", f"{canaries.make('root')}.>"]},
                    canaries.make("stream"): {"subjects": [f"{canaries.make('root2')}.>"]}},
        "webhooks": {"fromfile": {"url": f"{receiver.url}/{canaries.make('file')}",
                                  "events": [canaries.make("pattern")]}},
        "transformations": {transformation: {"template": canaries.make("template")}},
    })  # fmt: skip
    async with (
        connected(gateway.http_url, gateway.nats_url, gateway.admin_key) as client,
        NarrowCallers(gateway).caller(namespaces=("customer",), types=("shop.>",)) as caller,
        client.websocket() as socket,
    ):
        subscribed = await socket.request(
            action="subscribe", ref="1", stream=STREAM, durable=canaries.make("durable")[:64]
        )
        ids = await plant(client, caller, receiver, canaries.make) | {
            "othersubscription": subscribed["subscription"], "transformation": transformation,
        }  # fmt: skip
        canaries.plant("subscription", subscribed["subscription"])
        canaries.plant("replay", ids["otherreplay"])
        await client.until("mine", ids["sentid"], "succeeded")
        before = await state(client)
        (audit,) = await receiver.until(1, "/audit")
        assert list(canaries.in_text(audit.body)), "nothing was planted"
        (mine,) = await receiver.until(1, "/mine")
        assert mine.json["data"]["enrichment"]["processed_at"]
        assert mine.json["data"]["enrichment"]["related_events"] == []

        known = {" ".join(operation) for operation in operations_of(gateway.gateway.asgi.app)}
        assert known <= REQUESTS.keys(), "say what a caller of one namespace may ask there"
        for route in sorted(known, key=lambda route: (route.split()[0] == "DELETE", route)):
            method = route.split()[0]
            for path, status, body in REQUESTS[route]:
                await ask(caller, canaries, method, path, status, body, ids)
        await ask_live(caller, canaries)
        assert await state(client) == before
        found = [
            canary
            for request in receiver.requests
            if request.path in ("/mine", "/reused")
            for canary in canaries.in_text(repr(request.headers).encode() + request.body)
        ]
        assert not found


async def state(client: Client) -> list[Any]:
    """What the operators have, without what the caller changes of its own."""
    own = {"mine", "reused", "new", "own"}
    lists = []
    for path in ("/v1/webhooks", "/v1/dead-letters", "/v1/secrets", "/v1/subscriptions"):
        items = (await client.http.get(path, params={"limit": 1000})).json()["items"]
        ids = [item.get("id") or item.get("name") for item in items]
        lists.append(sorted(name for name in map(str, ids) if name not in own))
    return lists


async def ask(
    caller: NarrowCaller, canaries: Canaries, method: str, path: str, status: int, body: Any,
    ids: dict[str, Any],
) -> None:  # fmt: skip
    """Sends a request, and looks for canaries that it does not contain itself in the answer. What
    is not there for the caller is answered as if it did not exist."""
    content = filled(body, ids)
    answer = await caller.http.request(method, filled(path, ids), json=content)
    asked = f"{method} {filled(path, ids)} {content}"
    assert answer.status_code == status, f"{asked}: {answer.status_code} {answer.text}"
    echoed = {name for name, _ in canaries.in_text(asked.encode())}
    for text in texts_in(repr(answer.headers.raw).encode() + answer.content):
        found = [hit for hit in canaries.in_text(text) if hit[0] not in echoed]
        assert not found, f"{asked}: {found} in {text.decode()}"
    if status == 404:
        unknown = ids | {
            "other": "nobody", "otherletter": 10**9, "otherreplay": "r1", "othersecret": "nothing",
            "otherevent": "never", "othersubscription": "sub_1", "othertype": "none",
            "oldletter": 10**9, "oldevent": "never", "othertoken": "tok_" + "0" * 16,
        }  # fmt: skip
        foreign = await caller.http.request(
            method, filled(path, unknown), json=filled(body, unknown)
        )
        assert _without(answer.text, ids) == _without(foreign.text, unknown), asked


def _without(text: str, ids: dict[str, Any]) -> str:
    for name in ("other", "otherletter", "oldletter", "otherreplay", "othersecret", "otherevent",
                 "oldevent", "othersubscription", "othertoken", "othertype"):  # fmt: skip
        text = re.sub(rf"\b{re.escape(str(ids[name]))}\b", name, text)
    return text.replace("oldletter", "otherletter").replace("oldevent", "otherevent")


async def ask_live(caller: NarrowCaller, canaries: Canaries) -> None:
    """Looks for canaries in every frame of the live protocols."""
    frames: list[Any] = []
    first = {"action": "subscribe", "stream": STREAM, "from": "first"}
    async with caller.websocket() as socket:
        for request in (
            first | {"ref": 1}, first | {"ref": 2, "expression": "event.data.text != ''"},
            first | {"ref": 3, "namespaces": ["rival"]}, first | {"ref": 4, "durable": "own"},
            first | {"ref": 5, "stream": "none"},
            {"action": "subscribe", "ref": 6, "subjects": [">"]},
            {"action": "subscribe", "ref": 7, "subjects": ["webhook.>"]},
            {"action": "ping", "ref": 8}, {"action": "none", "ref": 9},
        ):  # fmt: skip
            await socket.connection.send(json.dumps(request))
        while not {1, 2, 3, 4, 5, 6, 7, 8, 9} <= {frame.get("ref") for frame in frames}:
            frames.append(await socket.next())
        listed = (await caller.ask("GET", "/v1/subscriptions"))["items"]
        assert len(listed) == 6
        await caller.send(event("shop.order.done", {"namespace": "customer"}))
        # It comes to those of the stream without a filter or namespace of others, and to ``>``.
        while sum("order.done" in str(frame) for frame in frames) < 3:
            frames.append(await socket.next())
        durable = next(entry["id"] for entry in listed if entry["durable"] == "own")
        for request in (
            {"action": "ack", "subscription": durable, "seq": 1, "ref": 10},
            {"action": "ack", "subscription": "sub_1", "seq": 1, "ref": 11},
            {"action": "unsubscribe", "subscription": durable, "ref": 12},
        ):  # fmt: skip
            await socket.connection.send(json.dumps(request))
        while not {10, 11, 12} <= {frame.get("ref") for frame in frames}:
            frames.append(await socket.next())
    events = [frame for frame in frames if frame.get("type") == "event"]
    assert {frame["event"]["data"]["namespace"] for frame in events} == {"customer"}
    content = await caller.read_sse(f"/v1/streams/{STREAM}/sse?from=first", b"order.done")
    async with caller.websocket(f"stream={STREAM}&from=first", "cloudevents.json") as bare:
        content += json.dumps([await bare.next(), await bare.next()]).encode()
    token = (await caller.ask("POST", "/v1/tokens", 201, json={"streams": [STREAM]}))["token"]
    query = f"token={token}&from=first"
    content += await caller.read_sse(f"/v1/streams/{STREAM}/sse?{query}", b"order.done")
    for text in (json.dumps(frames).encode(), content):
        assert not list(canaries.in_text(text))
