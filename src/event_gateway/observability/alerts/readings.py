"""Reads the conditions of the alerts: about each webhook, and over all of them."""

import time
from collections.abc import Callable, Iterable

from event_gateway.core.observability import alert_rules
from event_gateway.core.observability.alert_rules import (
    CIRCUIT_BREAKER_OPEN,
    CLEAR,
    DELIVERY_LAG,
    HIGH_ERROR_RATE,
    UNKNOWN,
    WEBHOOK_DOWN,
    AlertSettings,
    Reading,
)
from event_gateway.core.observability.attempt_history import AttemptHistory
from event_gateway.core.observability.steady_time import Waits
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.connection import StateError
from event_gateway.state.queues import Queues

LATE_AFTER = 2.0  # seconds for which a delivery must have been due to count as late
QUEUES_AT_ONCE = 1000  # whose oldest deliveries one script looks at
QUEUES_PER_TURN = 5  # such calls


class Readings:
    """What is known of the conditions now. ``router_lag``: for how many seconds the oldest event
    has waited for a router; None where that is not known."""

    def __init__(
        self,
        settings: AlertSettings,
        history: AttemptHistory,
        queues: Queues,
        *,
        router_lag: Callable[[], float | None],
    ) -> None:
        self.settings = settings
        self._history = history
        self._queues = queues
        self._router_lag = router_lag
        self._not_closed: frozenset[str] | None = None
        self._late: dict[str, float] | None = None  # for how many seconds the due deliveries wait
        self._sweep: dict[str, float] = {}  # the same, as far as the present sweep has come
        self._late_waits, self._routing_waits = Waits(LATE_AFTER), Waits()
        self._begin = 0  # where it goes on
        self._holding: dict[str, set[str]] = {name: set() for name in alert_rules.NAMES}

    def configure(self, settings: AlertSettings) -> None:
        """Applies other thresholds."""
        self.settings = settings

    async def refresh(self) -> None:
        """Reads from Redis which circuit breakers are not closed, and which deliveries are late;
        while Redis is away, neither is known."""
        try:
            _, self._not_closed, _ = await self._queues.lane_states()
            await self._look_for_late()
        except StateError:
            self._not_closed = self._late = None
            self._sweep, self._begin = {}, 0

    def concerned(self) -> Iterable[str]:
        """Webhooks of which something has changed, or of which a condition may hold."""
        concerned = self._history.take_changed()
        concerned.update(self._not_closed or (), self._late or ())
        for holding in self._holding.values():
            concerned |= holding
        return concerned

    def about(
        self, name: str, webhook: Webhook, recent: float, now: float, *, fires: bool
    ) -> Reading:
        """The reading of an alert about a webhook. ``recent``: seconds for which the age of an
        event at its attempt counts. ``now``: on a clock that is never set. ``fires``: whether the
        alert fires now; where nothing is known its condition still counts for the alert over all,
        such as after a restart."""
        reading = self._about(name, webhook, recent, now)
        holding = self._holding[name]
        unknown = reading.holds is None and webhook.disabled is None
        if reading.holds or (unknown and fires):
            holding.add(webhook.id)
        else:
            holding.discard(webhook.id)
        return reading

    def forget(self, webhook_id: str) -> None:
        """The webhook is paused or deleted."""
        self._history.forget(webhook_id)
        for holding in self._holding.values():
            holding.discard(webhook_id)

    def over_all(self, name: str, now: float) -> Reading:
        """The reading of an alert over all webhooks. ``now``: on a clock that is never set."""
        settings = self.settings
        window = self._history.windows[
            settings.error_window if name == HIGH_ERROR_RATE else settings.down_window
        ]
        if name == HIGH_ERROR_RATE:
            complete = window.is_complete(now)
            return alert_rules.error_rate(settings, window.total, complete=complete)
        if name == DELIVERY_LAG:
            waited = self._router_lag()
            if waited is not None:
                waited = self._routing_waits.limited({"": waited}, now)[""]
            routed = alert_rules.lag(settings, waited, "an event has waited to be routed")
            if routed.holds or routed is UNKNOWN:
                return routed
        if name == CIRCUIT_BREAKER_OPEN and self._not_closed is None:
            return UNKNOWN
        affected = self._holding[name]
        if not affected:
            return CLEAR
        concerned = len(window.counts.keys() | affected)
        what = {
            DELIVERY_LAG: "late deliveries",
            WEBHOOK_DOWN: "nothing but failures",
            CIRCUIT_BREAKER_OPEN: "open circuit breakers",
        }[name]
        return alert_rules.most_webhooks(len(affected), concerned, what)

    def _about(self, name: str, webhook: Webhook, recent: float, now: float) -> Reading:
        settings, history = self.settings, self._history
        if webhook.disabled is not None:
            return UNKNOWN  # the gateway does not know whether its receiver is back
        if name == HIGH_ERROR_RATE:
            window = history.windows[settings.error_window]
            count = window.counts.get(webhook.id)
            return alert_rules.error_rate(settings, count, complete=window.is_complete(now))
        if name == WEBHOOK_DOWN:
            count = history.windows[settings.down_window].counts.get(webhook.id)
            return alert_rules.webhook_down(settings, count, history.streaks.get(webhook.id), now)
        if name == CIRCUIT_BREAKER_OPEN:
            not_closed = self._not_closed
            return alert_rules.breaker_open(
                None if not_closed is None else webhook.id in not_closed
            )
        attempted = history.age(webhook.id, now, recent)
        if self._late is None:
            return alert_rules.lag(settings, attempted, "an event took") if attempted else UNKNOWN
        queued = self._late.get(webhook.id, 0.0)
        if queued > attempted:
            return alert_rules.lag(settings, queued, "a delivery has been due for")
        return alert_rules.lag(settings, attempted, "an event was attempted after")

    async def _look_for_late(self) -> None:
        for _ in range(QUEUES_PER_TURN):
            late, more = await self._queues.late(self._begin, QUEUES_AT_ONCE, LATE_AFTER)
            self._sweep |= late
            self._begin += QUEUES_AT_ONCE
            if not more:
                self._late = self._late_waits.limited(self._sweep, time.monotonic())
                self._sweep, self._begin = {}, 0
                return
