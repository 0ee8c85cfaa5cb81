"""The pages by subject, in the order of the navigation: a module and a folder of templates each."""

from event_gateway.console.page_group import PageGroup
from event_gateway.console.pages import (
    alerts,
    audit_log,
    dead_letters,
    deliveries,
    event_types,
    events,
    keys,
    overview,
    rejected,
    replays,
    secrets,
    sources,
    streams,
    system,
    webhooks,
)

GROUPS: tuple[PageGroup, ...] = (
    overview.PAGES,
    webhooks.PAGES,
    deliveries.PAGES,
    dead_letters.PAGES,
    events.PAGES,
    replays.PAGES,
    streams.PAGES,
    sources.PAGES,
    event_types.PAGES,
    rejected.PAGES,
    alerts.PAGES,
    audit_log.PAGES,
    keys.PAGES,
    secrets.PAGES,
    system.PAGES,
)
