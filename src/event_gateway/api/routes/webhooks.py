"""``/v1/webhooks``: what partners are registered as."""

import contextlib
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.routes import secrets
from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.bodies import event_in
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import page_of, registered
from event_gateway.api.server.patch import merge_patch
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import webhook_from_json
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.signing_keys import check_keys
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.delivery.dispatcher import Dispatcher
from event_gateway.registration.verification import Verifier
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.request.transformations import Transformations
from event_gateway.state.connection import StateError
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.queues import DeliveryCounts, Queues
from event_gateway.transport.egress_guard import EgressGuard

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What the routes use."""

    registry: Registry
    registration: WebhookRegistration
    verifier: Verifier
    dispatcher: Dispatcher
    queues: Queues
    expression_errors: ExpressionErrors
    transformations: Transformations
    guard: EgressGuard
    state: ApiState
    secrets: secrets.SecretParts


Parts = Annotated[WebhookParts, Depends(provided(WebhookParts))]


@router.get("")
async def list_webhooks(
    parts: Parts, limit: int = Query(100, ge=1, le=1000), cursor: str | None = None
) -> dict[str, Any]:
    """All webhooks, by id."""
    page, more = page_of(registered(parts.registry.webhooks), limit, cursor)
    items = [_shown(parts, parts.registry.webhooks[id_]) for id_ in page]
    return {"items": items, "next": more}


@router.post("", status_code=201)
async def create_webhook(
    parts: Parts, response: Response, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Registers a webhook: it gets every event that comes in after the answer."""
    webhook = _parse(parts, body)
    created = await parts.registration.create(webhook)
    response.headers["Location"] = f"/v1/webhooks/{created.id}"
    return webhook_to_json(created)


@router.get("/{webhook_id}")
async def show_webhook(parts: Parts, webhook_id: str) -> dict[str, Any]:
    """One webhook; of its expression also how often it came to no value, in all processes."""
    webhook = _find(parts, webhook_id)
    shown = _shown(parts, webhook)
    if webhook.expression is not None:
        with contextlib.suppress(*StateError):
            shown["expression_errors"] = await parts.expression_errors.of(webhook)
    return shown


@router.put("/{webhook_id}")
async def replace_webhook(
    parts: Parts, webhook_id: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Puts a new definition in the place of the old one."""
    _writable(_find(parts, webhook_id))
    if body.setdefault("id", webhook_id) != webhook_id:
        raise Problem(422, "the id in the body is not the one in the path")
    webhook = _parse(parts, body)
    return webhook_to_json(await parts.registration.replace(webhook))


@router.patch("/{webhook_id}")
async def change_webhook(
    parts: Parts, webhook_id: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Changes what the body names (RFC 7396) and keeps the rest.

    ``{"enabled": false}`` pauses: what comes in waits. ``{"enabled": true}``, or another url, also
    ends it that the gateway itself had disabled the webhook.
    """
    former = _find(parts, webhook_id)
    _writable(former)
    if body.get("id", webhook_id) != webhook_id:
        raise Problem(422, "a webhook's id cannot be changed")
    shown = webhook_to_json(former)
    # What has no value is not said; but in the user's own metadata null is a value.
    own = {"metadata": shown.pop("metadata")}
    changed = merge_patch(merge_patch({}, shown) | own, body)
    # A url that is not allowed any more, or a transformation that is gone, keeps nobody from
    # pausing its webhook.
    webhook = _parse(parts, changed, former)
    if body.get("enabled") is not True and webhook.url == former.url:
        webhook = msgspec.structs.replace(webhook, disabled=former.disabled)
    return webhook_to_json(await parts.registration.replace(webhook))


@router.post("/{webhook_id}/test")
async def try_webhook(
    parts: Parts, webhook_id: str, body: dict[str, Any] | None = Body(None)
) -> Response:
    """Sends one event to the receiver at once and shows what came back.

    ``{"event": {…}}`` names the event; without it one of the webhook's first pattern is made up.
    It is no delivery: nothing is recorded or tried again, and the webhook's state does not matter,
    but that its receiver must have agreed where it is to be asked.
    """
    webhook = _find(parts, webhook_id)
    if not webhook.is_verified:
        raise Problem(409, f"the receiver of {webhook_id} has not agreed to be sent to; "
                           f"POST /v1/webhooks/{webhook_id}/verify asks it")  # fmt: skip
    event = None
    if body is not None:
        if set(body) != {"event"}:
            raise Problem(422, 'the body is {"event": {…}}, or empty')
        event = event_in(body["event"])
    came = await parts.dispatcher.attempt(webhook, event)
    return Response(msgspec.json.encode(came), media_type="application/json")


@router.post("/{webhook_id}/rotate-secret")
async def rotate_signing_key(
    parts: Parts, webhook_id: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Replaces the key that the webhook's requests are signed with: ``{"value": "whsec_…"}``.

    Until ``overlap`` (24h) is over they are signed with the former one too. The key is never shown:
    whoever makes it hands it to the receiver.
    """
    webhook = _find(parts, webhook_id)
    names = [one.secret_name for one in webhook.security if one.auth_type == "hmac_signature"]
    if not names or names[0] is None:
        raise Problem(409, f"the webhook {webhook_id} signs nothing: it has no hmac_signature")
    try:
        check_keys(body.get("value"))
    except ValueError as error:
        raise InvalidDefinition("value", str(error)) from None
    await secrets.rotate(parts.secrets, names[0], body)
    return secrets.shown(parts.secrets, names[0])


@router.post("/{webhook_id}/enable")
async def enable_webhook(
    parts: Parts,
    webhook_id: str,
    discard: bool = Query(False, description="Cancel what has waited meanwhile."),
) -> dict[str, Any]:
    """Lets deliveries go on after a pause, or after the gateway had disabled the webhook."""
    _find(parts, webhook_id)
    return webhook_to_json(await parts.registration.enable(webhook_id, discard=discard))


@router.post("/{webhook_id}/verify")
async def verify_webhook(parts: Parts, webhook_id: str) -> dict[str, Any]:
    """Asks the receiver at once whether it agrees to be sent to, and shows what came back.

    Where the webhook has ``verify`` the answer is in force, a refusal too: then what is for it
    waits until the receiver agrees again. Else nothing is kept.
    """
    _find(parts, webhook_id)
    answer = await parts.verifier.verify(webhook_id)
    return {
        "webhook_id": webhook_id,
        "verified": answer.verified is not None,
        "status_code": answer.status_code,
        "allowed_origin": answer.allowed_origin,
        "allowed_rate": answer.allowed_rate,
        "error_type": answer.error_type,
        "error_message": answer.error_message,
    }


@router.get("/{webhook_id}/stats")
async def show_stats(parts: Parts, webhook_id: str) -> dict[str, Any]:
    """How the webhook's lane stands, over all processes of the gateway."""
    webhook = _find(parts, webhook_id)
    state = await parts.queues.state(webhook_id)
    return {
        "webhook_id": webhook_id,
        "state": webhook.state,
        "breaker": {
            "state": state.breaker,
            "open_since": _time(state.open_since),
            "next_probe_at": _time(state.open_until),
        },
        "failing_since": _time(state.failing_since),
        "in_flight": state.in_flight,
        "queue_depth": state.depth,
        "waiting": max(0, state.depth - state.in_flight),
        "oldest_waiting_at": _time(state.oldest),
        "oldest_waiting_seconds": state.oldest and round(max(0.0, time.time() - state.oldest), 3),
        "attempts_per_second": round(state.rate, 3),
        "last_success_at": _time(state.last_success),
        "last_failure_at": _time(state.last_failure),
        **_counted(state.total),
        "last_24h": _counted(state.day),
    }


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(parts: Parts, webhook_id: str) -> None:
    """Deletes a webhook; what waits for it is cancelled. Its id is taken until that is done."""
    _writable(_find(parts, webhook_id))
    await parts.registration.delete(webhook_id)


def _shown(parts: WebhookParts, webhook: Webhook) -> dict[str, Any]:
    """A webhook, and what this process knows of asking its receiver."""
    shown = webhook_to_json(webhook)
    if webhook.verify:
        shown["verification"] |= parts.verifier.seen(webhook.id)
    return shown


def _counted(counts: DeliveryCounts) -> dict[str, Any]:
    latency = counts.latency
    return {
        "attempts": counts.attempts,
        "succeeded": counts.succeeded,
        "success_rate": counts.success_rate,
        "dead_lettered": counts.dead_lettered,
        "cancelled": counts.cancelled,
        "mean_latency_seconds": None if latency is None else round(latency, 3),
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)


def _parse(parts: WebhookParts, body: dict[str, Any], former: Webhook | None = None) -> Webhook:
    """The webhook of a body; what it keeps of the ``former`` one's URLs and transformation is not
    judged anew."""
    kept: set[str] = set()
    names = parts.transformations.names
    if former is not None:
        kept = {former.url, *(one.token_url for one in former.security)}
        names |= {former.transformation}

    def refuses_url(url: str) -> str | None:
        return None if url in kept else parts.guard.refuses_url(url)

    return webhook_from_json(body, names, parts.state.retention, refuses_url)


def _find(parts: WebhookParts, webhook_id: str) -> Webhook:
    webhook = parts.registry.webhook(webhook_id)
    if webhook.deleting:
        raise Problem(409, f"the webhook {webhook_id} is being deleted")
    return webhook


def _writable(webhook: Webhook) -> None:
    if webhook.managed_by == "file":
        raise Problem(409, f"the webhook {webhook.id} comes from the configuration file; "
                           "change it there")  # fmt: skip
