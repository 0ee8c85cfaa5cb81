"""Webhooks: the list, a page for each, their definitions, and what may be done with them."""

from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.pages.webhooks import actions, change, views

PAGES = PageGroup(
    name="webhooks",
    title="Webhooks",
    path="/webhooks",
    section="Deliver",
    scope="webhooks:read",
    routes=[
        page("/webhooks", views.list_webhooks),
        page("/new-webhook", change.new),
        action("/new-webhook", change.create),
        action("/check-webhook", change.check),
        page("/webhooks/{webhook_id}", views.show_webhook),
        page("/webhooks/{webhook_id}/charts/{name}", views.chart),
        page("/webhooks/{webhook_id}/edit", change.edit),
        action("/webhooks/{webhook_id}/edit", change.save),
        action("/webhooks/{webhook_id}/pause", actions.pause),
        action("/webhooks/{webhook_id}/enable", actions.enable),
        action("/webhooks/{webhook_id}/verify", actions.verify),
        action("/webhooks/{webhook_id}/test", actions.test),
        action("/webhooks/{webhook_id}/rotate-secret", actions.rotate_secret),
        action("/webhooks/{webhook_id}/delete", actions.delete),
    ],
)
