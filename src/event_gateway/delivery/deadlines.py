"""How long a delivery is attempted, from when the log took its event on."""

import time

from event_gateway.core.streams.definition import LIFECYCLE, LIFECYCLE_RETENTION
from event_gateway.core.webhook.delivery import Delivery
from event_gateway.core.webhook.retry_policy import LONGEST_WAIT
from event_gateway.core.webhook.webhook import Webhook


class Deadlines:
    """``max_age`` (seconds) is that of webhooks that set none, or set more than the log's retention
    allows."""

    def __init__(self, max_age: float) -> None:
        self.max_age = max_age

    def set_max_age(self, seconds: float) -> None:
        """Applies another ``max_age``."""
        self.max_age = seconds

    def time_left(self, webhook: Webhook, event_at: float) -> float:
        """Seconds until the deadline of a delivery whose event came in at ``event_at``."""
        return event_at + self.max_age_of(webhook) - time.time()

    def time_left_of(self, webhook: Webhook, delivery: Delivery) -> float:
        """Seconds until the deadline of a delivery. That of a lifecycle event ends before its log
        drops the event."""
        latest = delivery.latest
        if delivery.stream == LIFECYCLE:
            latest = min(latest, delivery.event_at + LIFECYCLE_RETENTION * LONGEST_WAIT)
        return min(delivery.event_at + self.max_age_of(webhook), latest) - time.time()

    def max_age_of(self, webhook: Webhook) -> float:
        """For how many seconds after its event came in a delivery is attempted."""
        return min(webhook.retry_policy.max_age or self.max_age, self.max_age)
