"""Deliveries: those of a webhook, one with its attempts, and what may be done with them."""

import asyncio
import heapq
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.periods import moment, with_times
from event_gateway.console.visit import PAGE, Visit

STATUSES = (
    "pending", "in_progress", "retrying", "failed", "succeeded", "dead_letter", "cancelled",
)  # fmt: skip
MAX_WEBHOOKS = 20  # of which the page without a webhook shows deliveries
ROUNDS = 200  # requests of one bulk change, of up to a thousand deliveries each


async def list_deliveries(visit: Visit) -> Response:
    """The deliveries of a webhook; without one, the latest of the first webhooks."""
    filters = visit.filters("webhook", "status", "since", "until")
    if filters["webhook"]:
        return await _of_a_webhook(visit, filters)
    return await _of_all(visit, filters)


async def _of_a_webhook(visit: Visit, filters: dict[str, Any]) -> Response:
    """A page of the deliveries of one webhook, with what may be done to all that fit."""
    found = await visit.gateway.list_deliveries(
        filters["webhook"], limit=PAGE, cursor=visit.query("cursor"), **_narrowed(filters)
    )
    return await visit.render(
        "deliveries/list.html",
        page=found,
        filters=filters,
        statuses=STATUSES,
        names=(),
        unnamed=False,
    )


async def _of_all(visit: Visit, filters: dict[str, Any]) -> Response:
    """The latest deliveries of the first webhooks; none for a caller that may not list webhooks,
    and has to name one."""
    if not visit.may("webhooks:read"):
        return await visit.render(
            "deliveries/list.html", page={"items": [], "next": None}, filters=filters,
            statuses=STATUSES, names=(), unnamed=True,
        )  # fmt: skip
    times = _narrowed(filters)
    webhooks = await visit.gateway.list_webhooks(limit=MAX_WEBHOOKS)
    names = [each["id"] for each in webhooks["items"]]
    pages = await asyncio.gather(*(_first(visit, name, times) for name in names))
    latest = heapq.nlargest(
        PAGE, (each for items in pages for each in items), key=lambda each: each["updated_at"]
    )
    return await visit.render(
        "deliveries/list.html", page={"items": latest, "next": None}, filters=filters,
        statuses=STATUSES, names=names, more=bool(webhooks["next"]), unnamed=False,
    )  # fmt: skip


def _narrowed(filters: dict[str, Any]) -> dict[str, Any]:
    """The filters of a list of deliveries, as the API has them."""
    return with_times({name: filters[name] for name in ("status", "since", "until")})


async def _first(visit: Visit, webhook_id: str, times: dict[str, Any]) -> list[Any]:
    """The first deliveries of a webhook; none if the webhook was deleted meanwhile."""
    try:
        return (await visit.gateway.list_deliveries(webhook_id, limit=PAGE, **times))["items"]
    except GatewayError as error:
        if error.status != 404:
            raise
        return []


async def show_delivery(visit: Visit) -> Response:
    """One delivery: its attempts with requests and responses, and why it waits."""
    webhook_id, event_id = visit.path("webhook_id"), visit.path("event_id")
    source = visit.query("source")
    delivery = await visit.gateway.show_delivery(webhook_id, event_id, source=source)
    account: Any = None
    if visit.may("events:read"):
        try:
            event = await visit.gateway.show_event(
                event_id, source=delivery["source"], webhook=[webhook_id], body=True
            )
        except GatewayError as error:
            if error.status not in (403, 404):
                raise
        else:
            account = next((each for each in event["webhooks"] if each["id"] == webhook_id), None)
    return await visit.render(
        "deliveries/show.html", delivery=delivery, account=account,
        requests={each["attempt"]["time"]: each for each in (account or {}).get("requests", [])},
    )  # fmt: skip


async def retry(visit: Visit) -> Response:
    """Attempts a delivery at once, or starts a new run of one that has ended."""
    await visit.gateway.retry_delivery(
        visit.path("webhook_id"), visit.path("event_id"), source=visit.field("source") or None
    )
    return visit.redirect(
        visit.acted_on, "The gateway attempts this delivery now.", **_source(visit)
    )


async def cancel(visit: Visit) -> Response:
    """Cancels a delivery that waits."""
    await visit.gateway.cancel_delivery(
        visit.path("webhook_id"), visit.path("event_id"), source=visit.field("source") or None
    )
    return visit.redirect(visit.acted_on, "The delivery is cancelled.", **_source(visit))


async def count(visit: Visit) -> Response:
    """How many deliveries a bulk change would change; the question before it."""
    changed = await _change(visit, dry_run=True)
    return await visit.render("deliveries/bulk.html", chosen=_chosen(visit), changed=changed)


async def change(visit: Visit) -> Response:
    """Retries or cancels all deliveries of a webhook that fit the filters."""
    changed = await _change(visit, dry_run=False)
    done = "retried" if visit.field("action") == "retry" else "cancelled"
    kept = f" {changed['failed']} could not be: {changed['detail']}." if changed["failed"] else ""
    left = " There are more: repeat it." if changed["more"] else ""
    chosen = {name: value for name, value in _chosen(visit).items() if name != "action"}
    return visit.redirect(
        "/deliveries", f"{changed['changed']} deliveries {done}.{kept}{left}",
        "warning" if kept or left else "ok", **chosen,
    )  # fmt: skip


def _chosen(visit: Visit) -> dict[str, str]:
    """What a bulk change is about, as the form says it."""
    names = ("action", "webhook", "status", "since", "until")
    return {name: visit.field(name) for name in names}


async def _change(visit: Visit, *, dry_run: bool) -> dict[str, Any]:
    """Carries a bulk change out, request by request, or counts what it would change."""
    chosen = _chosen(visit)
    body: Any = {
        "action": chosen["action"], "webhook": chosen["webhook"], "dry_run": dry_run, "limit": 1000,
        "since": moment(chosen["since"]) or None, "until": moment(chosen["until"]) or None,
        "status": [chosen["status"]] if chosen["status"] else None,
    }  # fmt: skip
    matched = changed = failed = 0
    detail = ""
    for _ in range(ROUNDS):
        found = await visit.gateway.change_deliveries(body)
        matched += found["matched"]
        changed += found["changed"]
        failed += len(found["failed"]) + found["failed_omitted"]
        detail = detail or next((each["detail"] for each in found["failed"]), "")
        if found["next"] is None:
            break
        body["cursor"] = found["next"]
    return {
        "matched": matched, "changed": changed, "failed": failed, "detail": detail,
        "more": found["next"] is not None,
    }  # fmt: skip


def _source(visit: Visit) -> dict[str, str]:
    return {"source": visit.field("source")}


PAGES = PageGroup(
    name="deliveries",
    title="Deliveries",
    path="/deliveries",
    section="Deliver",
    scope="deliveries:read",
    routes=[
        page("/deliveries", list_deliveries),
        action("/deliveries/count", count),
        action("/deliveries/change", change),
        page("/deliveries/{webhook_id}/{event_id:path}", show_delivery),
        action("/deliveries/{webhook_id}/{event_id:path}/retry", retry),
        action("/deliveries/{webhook_id}/{event_id:path}/cancel", cancel),
    ],
)
