"""``/v1/webhooks``: lists, registers, changes and deletes webhooks."""

import contextlib
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesWebhooks, ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.webhooks import ChangedWebhook, WebhookAnswer
from event_gateway.api.openapi.described import NOT_MODIFIED, SchemaOf, answers
from event_gateway.api.routes.webhook_answers import changed_answer, queue_answers
from event_gateway.api.routes.webhook_filter import Filter
from event_gateway.api.routes.webhook_ids import check_former, check_free, is_unreadable
from event_gateway.api.routes.webhook_rules import WebhookRules, parse
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, Reading, set_tag
from event_gateway.api.server.definitions import Manager, deletable, present, writable
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, page_answer, page_of
from event_gateway.api.server.patch import merge_patch
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import WebhookBody
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.narrowing import owner_of
from event_gateway.core.audit.change import resource_name
from event_gateway.core.matching.selection import evaluated_texts
from event_gateway.core.text.json_values import check_bounds
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.verification import Verifier
from event_gateway.registration.visibility import webhook_of, webhooks_of
from event_gateway.registration.webhooks import WebhookRegistration
from event_gateway.state.connection import StateError
from event_gateway.state.expression_errors import ExpressionErrors
from event_gateway.state.queues import Queues

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookParts:
    """What the routes use."""

    registry: Registry
    registration: WebhookRegistration
    verifier: Verifier
    expression_errors: ExpressionErrors
    queues: Queues
    rules: WebhookRules


Parts = Annotated[WebhookParts, Depends(provided(WebhookParts))]
NewWebhook = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody)]
WholeWebhook = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody, optional=("id",))]
WebhookPatch = Annotated[dict[str, Any], Body(), SchemaOf(WebhookBody, patch=True)]


@router.get("", responses=answers(Page[WebhookAnswer]))
async def list_webhooks(
    parts: Parts,
    caller: ReadsWebhooks,
    filters: Filter,
    limit: Limit = 100,
    cursor: str | None = None,
    queues: bool = Query(
        False, description="Whether each also has `queue`: its waiting deliveries."
    ),
) -> Response:
    """All webhooks, by id; with parameters those for which all of them hold."""
    webhooks = webhooks_of(caller, parts.registry)
    names = [name for name, each in webhooks.items() if filters.passes(each, each.metadata)]
    page, more = page_of(names, limit, cursor)
    items = [_shown(parts, webhooks[webhook_id]) for webhook_id in page]
    if queues:
        for item, queue in zip(items, await queue_answers(parts.queues, page), strict=True):
            item["queue"] = queue
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
    check_free(parts.registry, caller, webhook.id)
    check_former(parts.registry, caller, webhook)
    created = await parts.registration.create(webhook)
    call.about(after=webhook_to_json(created))
    response.headers["Location"] = f"/v1/webhooks/{created.id}"
    return await changed_answer(parts.rules, caller, created, response)


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
    changes_by_itself = webhook.verify or bool(evaluated_texts(webhook))
    if not changes_by_itself and (unchanged := condition.not_modified(definition)):
        return unchanged
    set_tag(response, definition)
    shown = _shown(parts, webhook)
    if evaluated_texts(webhook):
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
    if not is_unreadable(parts.registry, caller, webhook_id):
        former = writable(webhook_of(caller, parts.registry, webhook_id))
    condition.check(None if former is None else webhook_to_json(former))
    if body.setdefault("id", webhook_id) != webhook_id:
        raise Problem(422, "the id in the body differs from the id in the path")
    webhook = parse(parts.rules, caller, body, () if former is None else former.owner)
    manager = managed_by or ("api" if former is None else former.managed_by)
    webhook = msgspec.structs.replace(webhook, managed_by=manager)
    check_former(parts.registry, caller, webhook)
    if former is None:
        created = await parts.registration.create(webhook)
        call.about(after=webhook_to_json(created))
        return await changed_answer(parts.rules, caller, created, response)
    replaced = await parts.registration.replace(webhook)
    call.about(before=webhook_to_json(former), after=webhook_to_json(replaced))
    return await changed_answer(parts.rules, caller, replaced, response)


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
    check_former(parts.registry, caller, webhook)
    if body.get("enabled") is not True and webhook.url == former.url:
        webhook = msgspec.structs.replace(webhook, disabled=former.disabled)
    replaced = await parts.registration.replace(webhook)
    call.about(before=webhook_to_json(former), after=webhook_to_json(replaced))
    return await changed_answer(parts.rules, caller, replaced, response)


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
    if not is_unreadable(parts.registry, caller, webhook_id):
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
