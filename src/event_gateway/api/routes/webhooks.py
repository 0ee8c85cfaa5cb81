"""``/v1/webhooks``: registers, changes, tests and verifies webhooks."""

import contextlib
import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesWebhooks, ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.others import SecretAnswer
from event_gateway.api.answers.requests import Rotation, SampleRequest
from event_gateway.api.answers.webhooks import (
    ChangedWebhook,
    HandshakeAnswer,
    TriedWebhook,
    WebhookAnswer,
    WebhookStats,
)
from event_gateway.api.openapi.described import NOT_MODIFIED, SchemaOf, answers
from event_gateway.api.routes import secrets
from event_gateway.api.routes.webhook_filter import Filter
from event_gateway.api.routes.webhook_rules import WebhookRules, parse, warnings_of
from event_gateway.api.server.bodies import event_in
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, Reading, set_tag
from event_gateway.api.server.definitions import Manager, deletable, present, writable
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import page_answer, page_of
from event_gateway.api.server.patch import merge_patch
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.state import ApiState
from event_gateway.api.server.warnings import with_warnings
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import WebhookBody
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.narrowing import is_narrowed, may_read, owner_of
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.change import resource_name
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import AlreadyExists, InvalidDefinition
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.text.json_values import check_bounds
from event_gateway.core.text.times import rfc3339_or_none
from event_gateway.core.webhook.signing_keys import check_keys
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.verification import Verifier
from event_gateway.registration.visible import sees, webhook_of, webhooks_of
from event_gateway.registration.waiting import Waiting
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.request import sample_request
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.receiver_client import ReceiverClient
from event_gateway.state.connection import StateError
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.queues import DeliveryCounts, Queues

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What the routes use."""

    registry: Registry
    registration: WebhookRegistration
    verifier: Verifier
    receivers: ReceiverClient
    builders: RequestBuilders
    queues: Queues
    expression_errors: ExpressionErrors
    state: ApiState
    rules: WebhookRules
    waiting: Waiting
    secrets: secrets.SecretParts


Parts = Annotated[WebhookParts, Depends(provided(WebhookParts))]
NewWebhook = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody)]
WholeWebhook = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody, optional=("id",))]
WebhookPatch = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody, patch=True)]
NewKey = Annotated[dict[str, Any], Body(), SchemaOf(Rotation)]
Sample = Annotated[Annotated[dict[str, Any], SchemaOf(SampleRequest)] | None, Body()]


@router.get("", responses=answers(Page[WebhookAnswer]))
async def list_webhooks(
    parts: Parts,
    caller: ReadsWebhooks,
    filters: Filter,
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
) -> Response:
    """All webhooks, by id; with parameters those for which all of them hold."""
    webhooks = webhooks_of(caller, parts.registry)
    names = [name for name, each in webhooks.items() if filters.passes(each, each.metadata)]
    page, more = page_of(names, limit, cursor)
    items = [_shown(parts, webhooks[webhook_id]) for webhook_id in page]
    return page_answer(items, more, len(names))


@router.post("", status_code=201, responses=answers(ChangedWebhook, 201, 409, headers=CREATED))
async def create_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.create", "webhook/{id}")],
    once: Once,
    response: Response,
    body: NewWebhook,
    managed_by: Manager = "api",
) -> dict[str, Any]:
    """Registers a webhook. It gets every matching event that comes in after the answer."""
    webhook = parse(parts.rules, caller, body, owner_of(caller))
    webhook = msgspec.structs.replace(webhook, managed_by=managed_by)
    call.about(resource_name("webhook", webhook.id))
    _check_free(parts, caller, webhook.id)
    _check_former(parts, caller, webhook)
    created = await parts.registration.create(webhook)
    call.about(after=webhook_to_json(created))
    response.headers["Location"] = f"/v1/webhooks/{created.id}"
    return await _changed(parts, caller, created, response)


@router.get(
    "/{webhook_id}",
    response_model=None,
    responses=answers(WebhookAnswer, 200, 409, headers=ETAG) | NOT_MODIFIED,
)
async def show_webhook(
    parts: Parts, caller: ReadsWebhooks, condition: Reading, response: Response, webhook_id: str
) -> dict[str, Any] | Response:
    """One webhook; with an expression also how often its evaluation failed, in all processes."""
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    definition = webhook_to_json(webhook)
    changes_by_itself = webhook.verify or webhook.expression is not None
    if not changes_by_itself and (unchanged := condition.not_modified(definition)):
        return unchanged
    set_tag(response, definition)
    shown = _shown(parts, webhook)
    if webhook.expression is not None:
        with contextlib.suppress(*StateError):
            shown["expression_errors"] = await parts.expression_errors.of(webhook)
    return shown


@router.put("/{webhook_id}", responses=answers(ChangedWebhook, 200, 409, headers=ETAG))
async def replace_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.replace", "webhook/{webhook_id}")],
    condition: Conditional,
    response: Response,
    webhook_id: str,
    body: WholeWebhook,
    managed_by: Manager | None = None,
) -> dict[str, Any]:
    """Replaces the whole definition, also one that the registry holds and nobody can read."""
    former = None
    if not _is_unreadable(parts, caller, webhook_id):
        former = writable(webhook_of(caller, parts.registry, webhook_id))
    condition.check(None if former is None else webhook_to_json(former))
    if body.setdefault("id", webhook_id) != webhook_id:
        raise Problem(422, "the id in the body differs from the id in the path")
    webhook = parse(parts.rules, caller, body, () if former is None else former.owner)
    manager = managed_by or ("api" if former is None else former.managed_by)
    webhook = msgspec.structs.replace(webhook, managed_by=manager)
    _check_former(parts, caller, webhook)
    if former is None:
        created = await parts.registration.create(webhook)
        call.about(after=webhook_to_json(created))
        return await _changed(parts, caller, created, response)
    replaced = await parts.registration.replace(webhook)
    call.about(before=webhook_to_json(former), after=webhook_to_json(replaced))
    return await _changed(parts, caller, replaced, response)


@router.patch("/{webhook_id}", responses=answers(ChangedWebhook, 200, 409, headers=ETAG))
async def change_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.change", "webhook/{webhook_id}")],
    condition: Conditional,
    response: Response,
    webhook_id: str,
    body: WebhookPatch,
) -> dict[str, Any]:
    """Changes the fields that the body names (RFC 7396), keeps the others.

    ``{"enabled": false}`` pauses the webhook: its deliveries stay pending. ``{"enabled": true}``,
    or another url, also enables a webhook that the gateway has disabled.
    """
    former = writable(webhook_of(caller, parts.registry, webhook_id))
    condition.check(webhook_to_json(former))
    if body.get("id", webhook_id) != webhook_id:
        raise Problem(422, "a webhook's id cannot be changed")
    shown = webhook_to_json(former)
    # Fields without a value are left out, but in the user's own metadata null is a value.
    metadata = {"metadata": shown.pop("metadata")}
    changed = merge_patch(merge_patch({}, shown) | metadata, body)
    check_bounds(body)
    # A webhook can be paused even if its url is not allowed any more or its transformation is gone.
    webhook = parse(parts.rules, caller, changed, former.owner, former)
    webhook = msgspec.structs.replace(webhook, managed_by=former.managed_by)
    _check_former(parts, caller, webhook)
    if body.get("enabled") is not True and webhook.url == former.url:
        webhook = msgspec.structs.replace(webhook, disabled=former.disabled)
    replaced = await parts.registration.replace(webhook)
    call.about(before=webhook_to_json(former), after=webhook_to_json(replaced))
    return await _changed(parts, caller, replaced, response)


@router.post("/{webhook_id}/test", responses=answers(TriedWebhook, 200, 409))
async def try_webhook(
    request: Request,
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.test", "webhook/{webhook_id}")],
    webhook_id: str,
    body: Sample = None,
) -> Response:
    """Sends one event to the receiver at once and returns the request and its answer.

    The body is ``{"event": {…}}``; without a body the gateway makes an example event that fits the
    webhook's first pattern. It is not a delivery: nothing is recorded or retried, and it works for
    paused webhooks. 409 if the webhook needs verification and is not verified.
    """
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    if not webhook.is_verified:
        raise Problem(409, f"the webhook {webhook_id} is not verified; "
                           f"POST /v1/webhooks/{webhook_id}/verify verifies it")  # fmt: skip
    event = None
    if body is not None:
        if set(body) != {"event"}:
            raise Problem(422, 'the body is {"event": {…}}, or empty')
        event = event_in(await request.body())
        if not may_read(caller, Received(event, EVENTS, 0, time.time())):
            raise InvalidDefinition("event", "is not of a namespace and type of the caller")
    shown = await sample_request.send(
        parts.receivers,
        parts.builders.for_webhook(webhook),
        webhook,
        event or sample_request.sample_event(webhook),
    )
    call.about(after={name: shown.get(name) for name in ("status_code", "error_type")})
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.post("/{webhook_id}/rotate-secret", responses=answers(SecretAnswer, 200, 409))
async def rotate_signing_key(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.rotate-secret", "webhook/{webhook_id}")],
    once: Once,
    webhook_id: str,
    body: NewKey,
) -> dict[str, Any]:
    """Replaces the key that signs the webhook's requests: ``{"value": "whsec_…"}``.

    For the time of ``overlap`` (24h) requests carry a signature of the former key too. The gateway
    never shows a key: give it to the receiver yourself.
    """
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    names = [
        method.secret_name for method in webhook.security if method.auth_type == "hmac_signature"
    ]
    if not names or names[0] is None:
        raise Problem(409, f"the webhook {webhook_id} has no signing key: it has no hmac_signature")
    try:
        check_keys(body.get("value"))
    except ValueError as error:
        raise InvalidDefinition("value", str(error)) from None
    if not secrets.may_change(parts.secrets, caller, names[0]):
        raise Problem(409, "the signing key is not the caller's alone: its operator rotates it")
    secrets.check_changeable(parts.secrets, names[0], caller)
    before = secrets.shown(parts.secrets, caller, names[0])
    await secrets.rotate(parts.secrets, names[0], body)
    after = secrets.shown(parts.secrets, caller, names[0])
    call.about(before=before, after=after)
    return after


@router.post("/{webhook_id}/enable", responses=answers(ChangedWebhook, 200, 409, headers=ETAG))
async def enable_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.enable", "webhook/{webhook_id}")],
    once: Once,
    response: Response,
    webhook_id: str,
    discard: bool = Query(False, description="Cancel the deliveries that are pending."),
) -> dict[str, Any]:
    """Enables a webhook that was paused, or that the gateway has disabled."""
    former = present(webhook_of(caller, parts.registry, webhook_id))
    enabled = await parts.registration.enable(webhook_id, discard=discard)
    call.about(
        before=webhook_to_json(former), after=webhook_to_json(enabled) | {"discarded": discard}
    )
    return await _changed(parts, caller, enabled, response)


@router.post("/{webhook_id}/verify", responses=answers(HandshakeAnswer, 200, 409))
async def verify_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.verify", "webhook/{webhook_id}")],
    webhook_id: str,
) -> dict[str, Any]:
    """Does the verification handshake with the receiver at once, and returns its answer.

    If the webhook has ``verify`` the result counts, also a failure: then its deliveries stay
    pending until a later handshake succeeds. Otherwise the result is not stored.
    """
    present(webhook_of(caller, parts.registry, webhook_id))
    answer = await parts.verifier.verify(webhook_id)
    verified = answer.verified is not None
    call.about(after={"verified": verified, "error_type": answer.error_type})
    return {
        "webhook_id": webhook_id,
        "verified": verified,
        "status_code": answer.status_code,
        "allowed_origin": answer.allowed_origin,
        "allowed_rate": answer.allowed_rate,
        "error_type": answer.error_type,
        "error_message": answer.error_message,
    }


@router.get("/{webhook_id}/stats", responses=answers(WebhookStats, 200, 409))
async def show_webhook_stats(
    parts: Parts, caller: ReadsWebhooks, webhook_id: str
) -> dict[str, Any]:
    """The state of a webhook's deliveries over all processes: circuit breaker, queue, counts."""
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    state = await parts.queues.state(webhook)
    return {
        "webhook_id": webhook_id,
        "state": webhook.state,
        "breaker": {
            "state": state.breaker,
            "open_since": rfc3339_or_none(state.open_since),
            "next_probe_at": rfc3339_or_none(state.open_until),
        },
        "throttled_until": rfc3339_or_none(state.throttled_until),
        "failing_since": rfc3339_or_none(state.failing_since),
        "in_flight": state.in_flight,
        "queue_depth": state.depth,
        "waiting": max(0, state.depth - state.in_flight),
        "events_behind": await parts.waiting.events_behind(webhook),
        "oldest_waiting_at": rfc3339_or_none(state.oldest),
        "oldest_waiting_seconds": state.oldest and round(max(0.0, time.time() - state.oldest), 3),
        "attempts_per_second": round(state.rate, 3),
        "last_success_at": rfc3339_or_none(state.last_success),
        "last_failure_at": rfc3339_or_none(state.last_failure),
        **_counts(state.total),
        "last_24h": _counts(state.day),
    }


@router.delete("/{webhook_id}", status_code=204, responses=answers(None, 204, 409))
async def delete_webhook(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.delete", "webhook/{webhook_id}")],
    condition: Conditional,
    webhook_id: str,
) -> None:
    """Deletes a webhook and cancels its pending deliveries. One from the configuration file can be
    deleted once the file does not name it any more.

    Requests with its id are answered with 409 until that is done.
    """
    if not _is_unreadable(parts, caller, webhook_id):
        former = deletable(webhook_of(caller, parts.registry, webhook_id))
        condition.check(webhook_to_json(former))
        call.about(before=webhook_to_json(former))
    await parts.registration.delete(webhook_id)


def _shown(parts: WebhookParts, webhook: Webhook) -> dict[str, Any]:
    """A webhook, with the latest handshake that this process has done with its receiver."""
    shown = webhook_to_json(webhook)
    if webhook.verify:
        shown["verification"] |= parts.verifier.progress(webhook.id)
    return shown


def _is_unreadable(parts: WebhookParts, caller: Principal, webhook_id: str) -> bool:
    """Whether the registry has an entry of that id that nobody can read; a narrowed caller is not
    told."""
    return not is_narrowed(caller) and parts.registry.is_unreadable("webhook", webhook_id)


def _check_free(parts: WebhookParts, caller: Principal, webhook_id: str) -> None:
    """Raises Conflict, which tells nothing else, if the id belongs to somebody else."""
    existing = parts.registry.webhooks.get(webhook_id)
    if existing is None:
        taken = is_narrowed(caller) and parts.registry.may_have_webhook(webhook_id)
    else:
        taken = not sees(caller, existing)
    if taken:
        raise AlreadyExists(f"the id {webhook_id} is taken")


def _check_former(parts: WebhookParts, caller: Principal, webhook: Webhook) -> None:
    """Raises a Problem if the webhook takes the place of one that the caller may not change. One
    that the caller may not see does not exist for it, and is not taken over."""
    former = parts.registry.webhooks.get(webhook.renamed_from or "")
    own = parts.registry.webhooks.get(webhook.id)
    if former is None or (own is not None and own.renamed_from == former.id):
        return
    if not sees(caller, former):
        if former.owner == webhook.owner:
            raise InvalidDefinition("renamed_from", f"the caller may not change {former.id}")
        return
    if former.owner != webhook.owner:
        raise InvalidDefinition("renamed_from", f"{former.id} belongs to another owner")
    if former.orphaned_at:
        present(former)
    else:
        writable(former)


async def _changed(
    parts: WebhookParts, caller: Principal, webhook: Webhook, response: Response
) -> dict[str, Any]:
    """The answer to a change: the webhook, and what will not work as its owner may expect."""
    set_tag(response, webhook_to_json(webhook))
    warnings = await warnings_of(parts.rules, caller, webhook)
    return with_warnings(webhook_to_json(webhook), warnings)


def _counts(counts: DeliveryCounts) -> dict[str, Any]:
    latency = counts.latency
    return {
        "attempts": counts.attempts,
        "succeeded": counts.succeeded,
        "success_rate": counts.success_rate,
        "dead_lettered": counts.dead_lettered,
        "cancelled": counts.cancelled,
        "mean_latency_seconds": None if latency is None else round(latency, 3),
    }
