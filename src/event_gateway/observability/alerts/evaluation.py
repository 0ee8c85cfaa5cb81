"""The evaluation of the alerts, which the leader of the processes does for all of them.

A turn reads the conditions of the webhooks of which something has changed, stores the alerts that
have changed, and announces those that fire or are resolved. What a turn has no time for, the next
one does.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import LogFull, LogUnavailable
from event_gateway.broker.peers import Peers
from event_gateway.core.observability.alert import Alert, is_outdated, resolve, step
from event_gateway.core.observability.alert_rules import NAMES, AlertSettings
from event_gateway.core.observability.attempt_history import AttemptHistory
from event_gateway.core.observability.steady_time import Elapsed
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.observability.alerts.announcing import AlertAnnouncing
from event_gateway.observability.alerts.book import AlertBook, Key
from event_gateway.observability.alerts.readings import Readings
from event_gateway.observability.alerts.tally_exchange import TallyExchange, interval_of

log = structlog.get_logger(__name__)

MAX_ALERTS = 5000  # that are stored, resolved ones too; further ones do not begin
WEBHOOKS_PER_TURN = 5000  # whose conditions a turn reads
WEBHOOKS_AT_ONCE = 250  # until other tasks have their turn
CHANGES_PER_TURN = 200  # alerts that a turn stores
WRITES_AT_ONCE = 32
RETRY = 1.0  # seconds until the stored alerts are read again after a failure


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """What becomes of an alert; None: it is deleted."""

    key: Key
    alert: Alert | None


class AlertEvaluation:
    """Evaluates the alerts while this process leads its ``peers``. ``webhooks``: those that are
    registered; ``limit_reached`` counts that a limit refused something, by its name."""

    def __init__(
        self,
        broker: Broker,
        peers: Peers,
        *,
        history: AttemptHistory,
        exchange: TallyExchange,
        readings: Readings,
        book: AlertBook,
        announcing: AlertAnnouncing,
        webhooks: Mapping[str, Webhook],
        limit_reached: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._peers = peers
        self._history = history
        self._exchange = exchange
        self._readings = readings
        self._book = book
        self._announcing = announcing
        self._webhooks = webhooks
        self._limit_reached = limit_reached
        self._interval = interval_of(readings.settings)
        self._left: dict[str, None] = {}  # webhooks that have waited for a turn
        self._elapsed = Elapsed()  # since alerts began to turn
        self._begins = True  # what is stored is older than this process

    def configure(self, settings: AlertSettings) -> None:
        """Applies other thresholds."""
        self._readings.configure(settings)
        self._history.set_lengths(settings.windows, time.monotonic())
        self._exchange.configure(settings)
        self._interval = interval_of(settings)

    async def run(self) -> None:
        """Evaluates for ever."""
        while True:
            try:
                await self._book.read()
                break
            except LogUnavailable:
                await asyncio.sleep(RETRY)
        while True:
            await beat(self._interval)
            await self.turn()

    async def turn(self) -> None:
        """One evaluation, if this process leads."""
        now, tick = time.time(), time.monotonic()
        self._history.expire(tick, self._exchange.recent)
        self._history.forget_others(self._webhooks)
        self.note_turning(now, tick)
        if not self._peers.leads:
            self._left.clear()  # the leader has the same
        if not self._peers.leads or not self._broker.connected or self._peers.cut_off:
            return
        try:
            await self._book.restore()
            await self._announcing.announce_owed()
            await self._readings.refresh()
            changes = await self._changes(now, tick)
            await self._store(changes[:CHANGES_PER_TURN])
            await self._announcing.announce_owed()
            await self._remove_silences(now)
        except LogUnavailable as error:
            log.warning("alerts are not stored or announced", error=str(error))

    def note_turning(self, now: float, tick: float) -> None:
        """Notes since when each alert is about to fire, or to end. Every process does so: the next
        leader need not trust the clock of the former one."""
        turning = {
            alert.key: alert.turning_since
            for alert in self._book.alerts.values()
            if alert.turning_since is not None
        }
        self._elapsed.keep(turning.keys())
        for key, mark in turning.items():
            self._elapsed.since(key, mark, now, tick, trusted=self._begins)
        self._begins = False

    async def _changes(self, now: float, tick: float) -> list[AlertChange]:
        alerts = self._book.alerts
        active = {key[1] for key, alert in alerts.items() if alert.state != "resolved" and key[1]}
        self._left |= dict.fromkeys(self._readings.concerned())
        chosen = [*active, *(webhook for webhook in self._left if webhook not in active)]
        chosen = chosen[: max(WEBHOOKS_PER_TURN, len(active))]
        changes: list[AlertChange] = []
        for position, webhook_id in enumerate(chosen):
            self._left.pop(webhook_id, None)
            changes += self._about(webhook_id, now, tick)
            if position % WEBHOOKS_AT_ONCE == WEBHOOKS_AT_ONCE - 1:
                await asyncio.sleep(0)
        for name in NAMES:
            changes += self.changed((name, None), now, tick)
        changes += [
            AlertChange(key=key, alert=None)
            for key, alert in alerts.items()
            if is_outdated(alert, now)
        ]
        # What a turn has no room for: rather new figures and deletions than new states.
        return sorted(changes, key=self._urgency)

    def _urgency(self, change: AlertChange) -> int:
        if change.key[1] is None:
            return 0
        former = self._book.alerts.get(change.key)
        state = None if former is None else former.state
        return 1 if change.alert is not None and change.alert.state != state else 2

    def _about(self, webhook_id: str, now: float, tick: float) -> Iterable[AlertChange]:
        webhook = self._webhooks.get(webhook_id)
        why = _why_ended(webhook)
        if why is not None or webhook is None:
            self._readings.forget(webhook_id)
            return [
                AlertChange(key=alert.key, alert=resolve(alert, now, why or ""))
                for name in NAMES
                if (alert := self._book.alerts.get((name, webhook_id))) is not None
                and alert.state != "resolved"
            ]
        return [change for name in NAMES for change in self.changed((name, webhook_id), now, tick)]

    def changed(self, key: Key, now: float, tick: float) -> Iterable[AlertChange]:
        """What becomes of an alert, if anything. ``now``: Unix time; ``tick``: on a clock that is
        never set."""
        name, webhook_id = key
        alert = self._book.alerts.get(key)
        timing = self._readings.settings.timings[name]
        if not timing.enabled:
            if alert is None or alert.state == "resolved":
                return []
            return [AlertChange(key=key, alert=resolve(alert, now, "the alert is disabled"))]
        if webhook_id is None:
            reading = self._readings.over_all(name, tick)
        else:
            webhook = self._webhooks[webhook_id]
            fires = alert is not None and alert.state == "firing"
            reading = self._readings.about(name, webhook, self._exchange.recent, tick, fires=fires)
        if alert is not None and alert.state == "resolved" and self._announcing.is_owed(alert):
            return []  # the end of the former episode is announced first
        since = None if alert is None else alert.turning_since
        turning = (
            0.0 if since is None else self._elapsed.since(key, since, now, tick, trusted=False)
        )
        next_alert = step(alert, key, reading, timing, now, turning)
        if next_alert is alert:
            return []
        if next_alert is not None and (mark := next_alert.turning_since) not in (None, since):
            self._elapsed.since(key, mark, now, tick)
        return [AlertChange(key=key, alert=next_alert)]

    async def _remove_silences(self, now: float) -> None:
        """Deletes the silences that have ended, and those about webhooks that are deleted: a later
        webhook of the id may have another owner."""
        for silence in self._book.all_silences:
            webhook = self._webhooks.get(silence.webhook or "")
            is_former = silence.webhook is not None and (
                webhook is None or webhook.deleting or silence.created_at < webhook.created_at
            )
            if is_former or silence.until <= now:
                await self._book.remove_silence(silence.id)

    async def _store(self, changes: list[AlertChange]) -> None:
        """Stores changes. Where the bucket has no room for one, others may still fit. Raises
        LogUnavailable."""
        full: LogFull | None = None
        for begin in range(0, len(changes), WRITES_AT_ONCE):
            batch = changes[begin : begin + WRITES_AT_ONCE]
            written = await asyncio.gather(
                *(self._store_one(change) for change in batch), return_exceptions=True
            )
            for error in written:
                if isinstance(error, LogFull):
                    full = error
                elif error is not None:
                    raise error
        if full is not None:
            log.warning("alerts are not stored or announced", error=str(full))

    async def _store_one(self, change: AlertChange) -> None:
        former, alert = self._book.alerts.get(change.key), change.alert
        if alert is None:
            await self._book.remove(change.key)
            return
        if former is None and len(self._book.alerts) >= MAX_ALERTS:
            self._limit_reached("alerts")
            log.warning("an alert does not begin, as there are too many", alert=alert.name,
                        webhook=alert.webhook, count=MAX_ALERTS)  # fmt: skip
            return
        if await self._book.write(alert) and (former is None or former.state != alert.state):
            self._announcing.became_due(alert)
            _log(alert)


def _log(alert: Alert) -> None:
    """One line for each change of state."""
    name, webhook = alert.name, alert.webhook
    if alert.state == "firing":
        log.warning("alert fires", alert=name, webhook=webhook, reason=alert.detail)
    elif alert.state == "pending":
        log.info("alert is pending", alert=name, webhook=webhook, reason=alert.detail)
    else:
        log.info("alert is resolved", alert=name, webhook=webhook, reason=alert.why)


def _why_ended(webhook: Webhook | None) -> str | None:
    """Why there is no alert about a webhook; None if there may be some."""
    if webhook is None or webhook.deleting:
        return "the webhook was deleted"
    if webhook.active or webhook.disabled is not None:
        return None
    return f"the webhook is {webhook.state}"
