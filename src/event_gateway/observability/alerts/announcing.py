"""The events that say that an alert fires or is resolved, and why some alerts have none."""

import time
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from event_gateway.core.matching.pattern import takes
from event_gateway.core.observability.alert import Alert
from event_gateway.core.text.times import rfc3339
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.alerts.book import AlertBook
from event_gateway.observability.announcements import Announcements

FIRING, RESOLVED = "gateway.alert.firing", "gateway.alert.resolved"
DEGRADED, RECOVERED = "gateway.health.degraded", "gateway.health.recovered"
_MADE_BY_ALERTS = {
    FIRING: "alerts", RESOLVED: "alerts",
    DEGRADED: "events about the health", RECOVERED: "events about the health",
}  # fmt: skip
MAX_DUE = 5000  # events that are remembered as published by no other process
PUBLISHED_AFTER = 60.0  # seconds after which an event may have been published by another process


class AlertAnnouncing:
    """Publishes an event of each new state of an alert, once. ``webhooks``: those that are
    registered; ``runbooks``: the page that explains the alerts, each under its name."""

    def __init__(
        self,
        book: AlertBook,
        announcements: Announcements,
        webhooks: Mapping[str, Webhook],
        *,
        runbooks: str,
    ) -> None:
        self._book = book
        self._announcements = announcements
        self._webhooks = webhooks
        self._runbooks = runbooks
        # By the id of an event that no other process can have published: when it became due.
        self._due_here: dict[str, float] = {}

    def configure(self, runbooks: str) -> None:
        """Applies another page."""
        self._runbooks = runbooks

    def shown_runbook(self, name: str) -> str:
        """Where the runbook of an alert is."""
        return f"{self._runbooks}#{name}"

    def not_announced_because(self, alert: Alert) -> str | None:
        """Why no event is published of a firing alert; None where one is."""
        webhook = self._webhooks.get(alert.webhook or "")
        received = None if webhook is None else received_about_alerts(webhook)
        if received is not None:
            return f"the webhook receives {received} itself"
        if self._book.silence_of(alert) is not None and alert.announced != "firing":
            return "silenced"
        return None

    def is_owed(self, alert: Alert) -> bool:
        """Whether an event of the alert's present state is still to be published."""
        return alert.to_announce and self.not_announced_because(alert) is None

    def became_due(self, alert: Alert) -> None:
        """Notes that this process has just stored another state of an alert."""
        if len(self._due_here) >= MAX_DUE:
            self._due_here.clear()
        self._due_here[alert.event_id] = time.monotonic()

    async def announce_owed(self) -> None:
        """Publishes the events of all alerts that have none of their present state yet."""
        for alert in list(self._book.alerts.values()):
            if self.is_owed(alert):
                await self._announce(alert)

    async def _announce(self, alert: Alert) -> None:
        at = (alert.fired_at if alert.state == "firing" else alert.resolved_at) or alert.since
        stored_at = self._due_here.get(alert.event_id)
        known = stored_at is not None and time.monotonic() - stored_at < PUBLISHED_AFTER
        about = alert.name if alert.webhook is None else f"{alert.name}/{alert.webhook}"
        await self._announcements.announce(
            FIRING if alert.state == "firing" else RESOLVED,
            f"alert/{about}",
            self._data_of(alert),
            alert.event_id,
            at=at,
            perhaps_published=not known,
        )
        await self._book.write(replace(alert, announced=alert.state))
        self._due_here.pop(alert.event_id, None)

    def _data_of(self, alert: Alert) -> dict[str, Any]:
        labels = {"alertname": alert.name, "severity": alert.severity}
        if alert.webhook is not None:
            labels["webhook"] = alert.webhook
        ended = {} if alert.state == "firing" or alert.resolved_at is None else {
            "resolved_at": rfc3339(alert.resolved_at), "reason": alert.why,
        }  # fmt: skip
        return {
            "name": alert.name,
            "webhook": alert.webhook,
            "state": alert.state,
            "action": "trigger" if alert.state == "firing" else "resolve",
            "severity": alert.severity,
            "detail": alert.detail,
            "value": alert.value,
            "threshold": alert.threshold,
            "since": rfc3339(alert.since),
            **ended,
            "runbook": self.shown_runbook(alert.name),
            "labels": labels,
        }


def received_about_alerts(webhook: Webhook) -> str | None:
    """What a webhook gets of the events that an alert makes, its own and those of the health of
    which it is a reason: an alert about it would make another delivery to it. None: nothing."""
    for event_type, what in _MADE_BY_ALERTS.items():
        if any(takes(pattern, event_type) for pattern in webhook.events):
            return what
    return None
