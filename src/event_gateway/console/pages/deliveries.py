"""Deliveries: to all webhooks or to one, a single one with its attempts, and bulk changes."""

from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.periods import moment, with_times

STATUSES = (
    "pending", "in_progress", "retrying", "failed", "succeeded", "dead_letter", "cancelled",
)  # fmt: skip
ROUNDS = 200  # requests of one bulk change, of up to a thousand deliveries each


async def list_deliveries(request: PageRequest) -> Response:
    """A page of the deliveries to all webhooks, or to one, with what may be done to all of that
    one that fit."""
    filters = request.filters("webhook", "status", "type", "since", "until")
    asked = with_times(filters) | {"webhook": [filters["webhook"]] if filters["webhook"] else None}
    found = await request.gateway.list_all_deliveries(
        limit=PAGE, cursor=request.query("cursor"), **asked
    )
    return await request.render(
        "deliveries/list.html", page=found, filters=filters, statuses=STATUSES
    )


async def show_delivery(request: PageRequest) -> Response:
    """One delivery: its attempts with requests and responses, and why it waits."""
    webhook_id, event_id = request.path("webhook_id"), request.path("event_id")
    source = request.query("source")
    delivery = await request.gateway.show_delivery(webhook_id, event_id, source=source)
    account: Any = None
    if request.may("events:read"):
        try:
            event = await request.gateway.show_event(
                event_id, source=delivery["source"], webhook=[webhook_id], body=True
            )
        except GatewayError as error:
            if error.status not in (403, 404):
                raise
        else:
            account = next((each for each in event["webhooks"] if each["id"] == webhook_id), None)
    return await request.render(
        "deliveries/show.html", delivery=delivery, account=account,
        requests={each["attempt"]["time"]: each for each in (account or {}).get("requests", [])},
    )  # fmt: skip


async def retry(request: PageRequest) -> Response:
    """Attempts a delivery at once, or starts a new run of one that has ended."""
    await request.gateway.retry_delivery(
        request.path("webhook_id"), request.path("event_id"), source=request.field("source") or None
    )
    return request.redirect(
        request.acted_on, "The gateway attempts this delivery now.", **_source(request)
    )


async def cancel(request: PageRequest) -> Response:
    """Cancels a delivery that waits."""
    await request.gateway.cancel_delivery(
        request.path("webhook_id"), request.path("event_id"), source=request.field("source") or None
    )
    return request.redirect(request.acted_on, "The delivery is cancelled.", **_source(request))


async def count(request: PageRequest) -> Response:
    """How many deliveries a bulk change would change; the question before it."""
    changed = await _change(request, dry_run=True)
    return await request.render("deliveries/bulk.html", chosen=_chosen(request), changed=changed)


async def change(request: PageRequest) -> Response:
    """Retries or cancels all deliveries of a webhook that fit the filters."""
    changed = await _change(request, dry_run=False)
    done = "retried" if request.field("action") == "retry" else "cancelled"
    kept = f" {changed['failed']} could not be: {changed['detail']}." if changed["failed"] else ""
    left = " There are more: repeat it." if changed["more"] else ""
    chosen = {name: value for name, value in _chosen(request).items() if name != "action"}
    return request.redirect(
        "/deliveries", f"{changed['changed']} deliveries {done}.{kept}{left}",
        "warning" if kept or left else "ok", **chosen,
    )  # fmt: skip


def _chosen(request: PageRequest) -> dict[str, str]:
    """What a bulk change is about, as the form says it."""
    names = ("action", "webhook", "status", "since", "until")
    return {name: request.field(name) for name in names}


async def _change(request: PageRequest, *, dry_run: bool) -> dict[str, Any]:
    """Carries a bulk change out, request by request, or counts what it would change."""
    chosen = _chosen(request)
    body: Any = {
        "action": chosen["action"], "webhook": chosen["webhook"], "dry_run": dry_run, "limit": 1000,
        "since": moment(chosen["since"]) or None, "until": moment(chosen["until"]) or None,
        "status": [chosen["status"]] if chosen["status"] else None,
    }  # fmt: skip
    matched = changed = failed = 0
    detail = ""
    for _ in range(ROUNDS):
        found = await request.gateway.change_deliveries(body)
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


def _source(request: PageRequest) -> dict[str, str]:
    return {"source": request.field("source")}


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
