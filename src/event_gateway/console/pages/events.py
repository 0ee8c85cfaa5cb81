"""Events: the log, one event with what became of it, and sending it once more."""

import json
import shlex
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest
from event_gateway.console.periods import with_times


async def list_events(request: PageRequest) -> Response:
    """The events in the log that fit the filters, the newest first."""
    filters = request.filters("type", "source", "subject", "since", "until")
    given = with_times(filters)
    found = await request.gateway.list_events(limit=PAGE, cursor=request.query("cursor"), **given)
    return await request.render("events/list.html", page=found, filters=filters)


async def find(request: PageRequest) -> Response:
    """Leads to the event of an id; without an id, to the list."""
    event_id = request.query("id")
    if event_id is None:
        return request.redirect("/events")
    try:
        await request.gateway.show_event(event_id, limit=1)
    except GatewayError as error:
        if error.status != 404:
            raise
        text = f"{error.detail}. The id may be mistyped, or the log no longer has the event."
        return request.redirect("/events", text, "warning")
    return request.redirect(f"/events/{segment(event_id)}")


async def show_event(request: PageRequest) -> Response:
    """One event: as it came in, and what became of it."""
    found = await request.gateway.show_event(
        request.path("event_id"), source=request.query("source"), cursor=request.query("cursor"),
        limit=PAGE,
    )  # fmt: skip
    return await request.render(
        "events/show.html",
        event_id=request.path("event_id"),
        found=found,
        data=None if found["event"] is None else _data(found["event"]),
        curl=None if found["event"] is None else as_curl(found["event"]),
    )


async def resend(request: PageRequest) -> Response:
    """Sends the event once more: to the webhooks that the form names, else to all that match."""
    event_id, source = request.path("event_id"), request.field("source")
    chosen = [each for each in request.form.get("webhook", []) if each]
    if not chosen:
        return request.redirect(
            f"/events/{segment(event_id)}", "No webhook was chosen, so nothing was sent.",
            "warning", source=source,
        )  # fmt: skip
    sent = await request.gateway.resend_event(event_id, {"source": source, "webhooks": chosen})
    kept = "; ".join(
        f"{each['webhook_id']}: {each['detail'] or each['result']}"
        for each in sent["items"]
        if each["result"] != "queued"
    )
    text = f"The event is on its way to {sent['queued']} of {len(sent['items'])} webhooks."
    return request.redirect(
        f"/events/{segment(event_id)}", text + (f" {kept}." if kept else ""),
        "warning" if kept else "ok", source=source,
    )  # fmt: skip


def as_curl(event: Any) -> str:
    """The command that publishes an event (CloudEvents 1.0, structured mode). The gateway drops it
    as a duplicate unless its id is changed."""
    return (
        'curl -X POST "$EVENT_GATEWAY_URL/v1/events" \\\n'
        '  -H "Authorization: Bearer $EVENT_GATEWAY_KEY" \\\n'
        "  -H 'Content-Type: application/cloudevents+json' \\\n"
        f"  --data-raw {shlex.quote(json.dumps(event, ensure_ascii=False))}"
    )


def _data(event: Any) -> Any:
    """The payload: JSON, a text, or base64; None where there is none."""
    return event.get("data", event.get("data_base64"))


PAGES = PageGroup(
    name="events",
    title="Events",
    path="/events",
    section="Deliver",
    scope="events:read",
    routes=[
        page("/events", list_events),
        page("/find-event", find),
        page("/events/{event_id:path}", show_event),
        action("/events/{event_id:path}/resend", resend),
    ],
)
