"""Streams: the list, a page for each with its subscribers, their form, a live tail, and what proves
them."""

from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.pages.streams import change, compliance, tail, views

PAGES = PageGroup(
    name="streams",
    title="Streams",
    path="/streams",
    section="Listen",
    scope="streams:read",
    routes=[
        page("/streams", views.list_streams),
        page("/new-stream", change.new),
        action("/new-stream", change.create),
        page("/streams/{name}", views.show_stream),
        page("/streams/{name}/edit", change.edit),
        action("/streams/{name}/edit", change.save),
        action("/streams/{name}/delete", change.delete),
        page("/streams/{name}/tail", tail.show),
        page("/streams/{name}/tail/events", tail.events),
        action("/streams/{name}/disconnect", views.disconnect),
        page("/streams/{name}/compliance", compliance.show),
        page("/streams/{name}/compliance/export", compliance.export),
        action("/streams/{name}/compliance/hold", compliance.hold),
        action("/streams/{name}/compliance/release", compliance.release),
        action("/streams/{name}/compliance/redact", compliance.redact),
    ],
)
