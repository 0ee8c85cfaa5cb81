"""Inbound sources: the list, a page for each, the form, trials, and their secrets."""

from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.pages.sources import actions, change, views

PAGES = PageGroup(
    name="sources",
    title="Sources",
    path="/sources",
    section="Take in",
    scope="events:read",
    operator=True,
    routes=[
        page("/sources", views.list_sources),
        page("/new-source", change.new),
        action("/new-source", change.create),
        page("/sources/{name}", views.show_source),
        page("/sources/{name}/edit", change.edit),
        action("/sources/{name}/edit", change.save),
        action("/sources/{name}/enable", actions.enable),
        action("/sources/{name}/disable", actions.disable),
        action("/sources/{name}/delete", actions.delete),
        action("/sources/{name}/test", actions.test),
        action("/sources/{name}/secret", actions.set_secret),
    ],
)
