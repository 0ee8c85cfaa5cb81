"""``/v1/webhooks``: what partners are registered as."""

from typing import Any

from fastapi import APIRouter, Body, Query, Request, Response

from event_gateway.api.auth import GuardedRoute
from event_gateway.api.context import Context
from event_gateway.api.pages import page_of
from event_gateway.api.problems import Problem
from event_gateway.config.definitions import webhook_from_json, webhook_to_json
from event_gateway.core.webhook import Webhook
from event_gateway.delivery.transformations import TRANSFORMATIONS

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)


@router.get("")
async def list_webhooks(
    request: Request, limit: int = Query(100, ge=1, le=1000), cursor: str | None = None
) -> dict[str, Any]:
    """All webhooks, by id."""
    context: Context = request.app.state.context
    page, more = page_of(context.registry.webhooks, limit, cursor)
    items = [webhook_to_json(context.registry.webhooks[id_]) for id_ in page]
    return {"items": items, "next": more}


@router.post("", status_code=201)
async def create_webhook(
    request: Request, response: Response, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Registers a webhook: it gets every event that comes in after the answer."""
    context: Context = request.app.state.context
    webhook = _parse(context, body)
    created = await context.registration.create(webhook)
    response.headers["Location"] = f"/v1/webhooks/{created.id}"
    return webhook_to_json(created)


@router.get("/{webhook_id}")
async def show_webhook(request: Request, webhook_id: str) -> dict[str, Any]:
    """One webhook."""
    return webhook_to_json(_find(request, webhook_id))


@router.put("/{webhook_id}")
async def replace_webhook(
    request: Request, webhook_id: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Puts a new definition in the place of the old one."""
    context: Context = request.app.state.context
    _writable(_find(request, webhook_id))
    if body.setdefault("id", webhook_id) != webhook_id:
        raise Problem(422, "the id in the body is not the one in the path")
    webhook = _parse(context, body)
    return webhook_to_json(await context.registration.replace(webhook))


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(request: Request, webhook_id: str) -> None:
    """Deletes a webhook; what waits for it is cancelled. Its id is taken until that is done."""
    context: Context = request.app.state.context
    _writable(_find(request, webhook_id))
    await context.registration.delete(webhook_id)


def _parse(context: Context, body: dict[str, Any]) -> Webhook:
    return webhook_from_json(body, frozenset(TRANSFORMATIONS), context.retention)


def _find(request: Request, webhook_id: str) -> Webhook:
    context: Context = request.app.state.context
    webhook = context.registry.webhook(webhook_id)
    if webhook.deleting:
        raise Problem(409, f"the webhook {webhook_id} is being deleted")
    return webhook


def _writable(webhook: Webhook) -> None:
    if webhook.managed_by == "file":
        raise Problem(409, f"the webhook {webhook.id} comes from the configuration file; "
                           "change it there")  # fmt: skip
