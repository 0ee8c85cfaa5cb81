"""The lifecycle events and log lines of changes of webhooks."""

import structlog

from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.lifecycle import Lifecycle

log = structlog.get_logger(__name__)


def publish_change(lifecycle: Lifecycle, what: str, webhook: Webhook, **more: str) -> None:
    """Publishes that a webhook was registered, updated, disabled or deleted, which is ``what``.
    ``more``: further members of the event's data."""
    about = {"url": webhook.url, "events": webhook.events} | more
    if what != "disabled":  # which has a warning of its own
        log.info(f"webhook {what}", webhook=webhook.id)
    lifecycle.webhook(what, webhook.id, about)
