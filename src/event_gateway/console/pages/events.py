"""Events: the log, one event with what became of it, and sending it once more."""

import json
import shlex
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.periods import with_times
from event_gateway.console.visit import PAGE, Visit


async def list_events(visit: Visit) -> Response:
    """The events in the log that fit the filters, the newest first."""
    filters = visit.filters("type", "source", "subject", "since", "until")
    given = with_times(filters)
    found = await visit.gateway.list_events(limit=PAGE, cursor=visit.query("cursor"), **given)
    return await visit.render("events/list.html", page=found, filters=filters)


async def find(visit: Visit) -> Response:
    """Leads to the event of an id; without an id, to the list."""
    event_id = visit.query("id")
    if event_id is None:
        return visit.redirect("/events")
    try:
        await visit.gateway.show_event(event_id, limit=1)
    except GatewayError as error:
        if error.status != 404:
            raise
        text = f"{error.detail}. The id may be mistyped, or the log no longer has the event."
        return visit.redirect("/events", text, "warning")
    return visit.redirect(f"/events/{segment(event_id)}")


async def show_event(visit: Visit) -> Response:
    """One event: as it came in, and what became of it."""
    found = await visit.gateway.show_event(
        visit.path("event_id"), source=visit.query("source"), cursor=visit.query("cursor"),
        limit=PAGE,
    )  # fmt: skip
    return await visit.render(
        "events/show.html",
        event_id=visit.path("event_id"),
        found=found,
        data=None if found["event"] is None else _data(found["event"]),
        curl=None if found["event"] is None else as_curl(found["event"]),
    )


async def resend(visit: Visit) -> Response:
    """Sends the event once more: to the webhooks that the form names, else to all that match."""
    event_id, source = visit.path("event_id"), visit.field("source")
    chosen = [each for each in visit.form.get("webhook", []) if each]
    if not chosen:
        return visit.redirect(
            f"/events/{segment(event_id)}", "No webhook was chosen, so nothing was sent.",
            "warning", source=source,
        )  # fmt: skip
    sent = await visit.gateway.resend_event(event_id, {"source": source, "webhooks": chosen})
    kept = "; ".join(
        f"{each['webhook_id']}: {each['detail'] or each['result']}"
        for each in sent["items"]
        if each["result"] != "queued"
    )
    text = f"The event is on its way to {sent['queued']} of {len(sent['items'])} webhooks."
    return visit.redirect(
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
