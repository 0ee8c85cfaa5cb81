"""``POST /v1/webhooks/bulk``: enables or disables many webhooks."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.bulk import BulkWebhooks
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.webhook_filter import State, WebhookFilter
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.definitions import present, writable
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import HANDLED, problem_of
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.registration.visibility import webhook_of, webhooks_of
from event_gateway.registration.webhooks import WebhookRegistration

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)

MAX_WEBHOOKS = 1000  # that one request changes
AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkWebhookParts:
    """What the route uses."""

    registry: Registry
    registration: WebhookRegistration


Parts = Annotated[BulkWebhookParts, Depends(provided(BulkWebhookParts))]


class _Request(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    action: Literal["enable", "disable"]
    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_WEBHOOKS)] | None = None
    state: State | None = None
    event: str | None = None
    owner: str | None = None
    managed_by: str | None = None
    metadata: dict[str, str] | None = None
    all: bool = False
    dry_run: bool = False


Change = Annotated[dict[str, Any], Body(), SchemaOf(_Request)]


@router.post("/bulk", responses=answers(BulkWebhooks))
async def change_webhooks(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("webhooks.bulk", "webhook")],
    once: Once,
    body: Change,
) -> dict[str, Any]:
    """Enables or disables webhooks: those in ``ids``; or those that a filter names, by ``state``,
    ``event``, ``owner``, ``managed_by`` and ``metadata`` as in the list; or with ``all`` all.

    ``dry_run`` only says which. At most 1,000 at a time. Deliveries of a disabled webhook stay
    pending.
    """
    given = body_as(_Request, body)
    meant = _meant(parts, caller, given)
    outcome: dict[str, Any] = {
        "action": given.action, "dry_run": given.dry_run, "matched": len(meant),
        "changed": [], "unchanged": 0, "failed": [],
    }  # fmt: skip
    gate = asyncio.Semaphore(AT_ONCE)

    async def change(webhook_id: str) -> None:
        async with gate:
            try:
                # As it is now: a change of another caller may have come in between.
                webhook = present(webhook_of(caller, parts.registry, webhook_id))
                if not await _change(parts, webhook, given.action, dry_run=given.dry_run):
                    outcome["unchanged"] += 1
                    return
                outcome["changed"].append(webhook_id)
            except HANDLED as error:
                outcome["failed"].append({"id": webhook_id, "detail": problem_of(error).detail})

    await asyncio.gather(*map(change, meant))
    outcome["changed"].sort()
    outcome["failed"].sort(key=lambda failed: failed["id"])
    call.about(after=outcome)
    return outcome


def _meant(parts: BulkWebhookParts, caller: Principal, given: _Request) -> list[str]:
    """The ids of the webhooks. Raises InvalidDefinition if they are not named in one way, or too
    many."""
    filters = WebhookFilter(
        state=given.state, event=given.event, owner=given.owner,
        managed_by=given.managed_by, metadata=given.metadata,
    )  # fmt: skip
    filtered = filters != WebhookFilter()
    if sum((given.ids is not None, filtered, given.all)) != 1:
        raise InvalidDefinition("", "name ids, or a filter (state, event, owner, managed_by, "
                                    'metadata), or {"all": true}')  # fmt: skip
    if given.ids is not None:
        return list(dict.fromkeys(given.ids))
    filters.check()
    meant = [
        webhook.id
        for webhook in webhooks_of(caller, parts.registry).values()
        if filters.passes(webhook, webhook.metadata)
    ]
    if len(meant) > MAX_WEBHOOKS:
        raise InvalidDefinition("", f"{len(meant)} webhooks are meant, and one request changes at "
                                    f"most {MAX_WEBHOOKS}: name them by ids")  # fmt: skip
    return sorted(meant)


async def _change(parts: BulkWebhookParts, webhook: Webhook, action: str, *, dry_run: bool) -> bool:
    """Changes a webhook; False if it is so already. Raises what the routes of one webhook raise."""
    if action == "enable":
        if webhook.enabled and webhook.disabled is None:
            return False
        if not dry_run:
            await parts.registration.enable(webhook.id, discard=False)
        return True
    if not writable(webhook).enabled:
        return False
    if not dry_run:
        await parts.registration.replace(msgspec.structs.replace(webhook, enabled=False))
    return True
