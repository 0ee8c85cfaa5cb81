"""``/v1/webhooks``: what partners are registered as."""

from typing import Any

from fastapi import APIRouter, Body, Query, Request, Response

from event_gateway.api.context import Context
from event_gateway.api.pages import page_of
from event_gateway.api.problems import Problem, invalid, unavailable
from event_gateway.broker.connection import BrokerError
from event_gateway.config.definitions import InvalidBody, webhook_from_json, webhook_to_json
from event_gateway.core.errors import Conflict
from event_gateway.core.webhook import Webhook
from event_gateway.delivery.transformations import TRANSFORMATIONS

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


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
    try:
        created = await context.registration.create(webhook)
    except Conflict as error:
        raise Problem(409, str(error)) from None
    except BrokerError:
        raise unavailable("NATS") from None
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
    try:
        return webhook_to_json(await context.registration.replace(webhook))
    except Conflict as error:
        raise Problem(409, str(error)) from None
    except BrokerError:
        raise unavailable("NATS") from None


@router.delete("/{webhook_id}", status_code=204)
async def delete_webhook(request: Request, webhook_id: str) -> None:
    """Deletes a webhook; what waits for it is cancelled. Its id is taken until that is done."""
    context: Context = request.app.state.context
    _writable(_find(request, webhook_id))
    try:
        await context.registration.delete(webhook_id)
    except KeyError:
        raise Problem(404, f"there is no webhook {webhook_id}") from None
    except Conflict as error:
        raise Problem(409, str(error)) from None
    except BrokerError:
        raise unavailable("NATS") from None


def _parse(context: Context, body: dict[str, Any]) -> Webhook:
    try:
        return webhook_from_json(body, frozenset(TRANSFORMATIONS), context.retention)
    except InvalidBody as error:
        raise invalid(error) from None


def _find(request: Request, webhook_id: str) -> Webhook:
    context: Context = request.app.state.context
    webhook = context.registry.webhooks.get(webhook_id)
    if webhook is None:
        raise Problem(404, f"there is no webhook {webhook_id}")
    if webhook.deleting:
        raise Problem(409, f"the webhook {webhook_id} is being deleted")
    return webhook


def _writable(webhook: Webhook) -> None:
    if webhook.managed_by == "file":
        raise Problem(409, f"the webhook {webhook.id} comes from the configuration file; "
                           "change it there")  # fmt: skip
