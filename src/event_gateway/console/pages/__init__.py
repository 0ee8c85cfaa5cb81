"""The pages by subject, in the order of the navigation: a module and a folder of templates each."""

from event_gateway.console.page_group import PageGroup
from event_gateway.console.pages import deliveries, events, overview, system, webhooks

GROUPS: tuple[PageGroup, ...] = (
    overview.PAGES,
    webhooks.PAGES,
    deliveries.PAGES,
    events.PAGES,
    system.PAGES,
)
