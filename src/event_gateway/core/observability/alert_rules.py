"""The four alerts: when the condition of each holds.

A reading says whether a condition holds now. It says None where too little is known: then the
alert stays as it is. So a firing alert does not end only because the processes were restarted, or
because a webhook that is down gets no more events.
"""

import msgspec

from event_gateway.core.observability.attempt_history import Count, Streak
from event_gateway.core.text.units import format_duration

HIGH_ERROR_RATE = "high_error_rate"
DELIVERY_LAG = "delivery_lag"
WEBHOOK_DOWN = "webhook_down"
CIRCUIT_BREAKER_OPEN = "circuit_breaker_open"
NAMES = (HIGH_ERROR_RATE, DELIVERY_LAG, WEBHOOK_DOWN, CIRCUIT_BREAKER_OPEN)
SEVERITIES = {
    HIGH_ERROR_RATE: "warning",
    DELIVERY_LAG: "warning",
    WEBHOOK_DOWN: "critical",
    CIRCUIT_BREAKER_OPEN: "warning",
}
LEAST_FAILURES = 3  # of a window in which every attempt failed
LEAST_WEBHOOKS = 2  # that are affected, for an alert over all


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """When a condition makes an alert, in seconds.

    ``hold``: for how long it must hold before the alert fires, pending until then. ``keep``: for
    how long it must not hold before a firing alert is resolved.
    """

    enabled: bool = True
    hold: float = 0.0
    keep: float = 60.0


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds of the four alerts; times in seconds."""

    error_rate: float = 0.05
    error_window: float = 300.0
    min_attempts: int = 20
    lag: float = 30.0
    failures: int = 20
    down_window: float = 300.0
    timings: dict[str, Timing] = msgspec.field(
        default_factory=lambda: {name: Timing() for name in NAMES}
    )

    @property
    def windows(self) -> frozenset[float]:
        """The lengths of the windows."""
        return frozenset((self.error_window, self.down_window))


class Reading(msgspec.Struct, frozen=True):
    """Whether a condition holds (None: not known), with its value now and its threshold."""

    holds: bool | None
    value: float = 0.0
    threshold: float = 0.0
    detail: str = ""


UNKNOWN = Reading(None)
CLEAR = Reading(False)


def error_rate(settings: AlertSettings, count: Count | None, *, complete: bool) -> Reading:
    """Too many attempts of the window fail. ``complete``: the window has counted for its length."""
    attempts = 0 if count is None else count.attempts
    if count is None or attempts < settings.min_attempts:
        return CLEAR if complete else UNKNOWN
    rate = count.failed / attempts
    if rate <= settings.error_rate:
        return CLEAR
    return Reading(
        True, round(rate, 4), settings.error_rate,
        f"{rate:.1%} of the attempts of the last {format_duration(settings.error_window)} failed "
        f"({count.failed} of {attempts}), more than {settings.error_rate:.2%}",
    )  # fmt: skip


def webhook_down(
    settings: AlertSettings, count: Count | None, streak: Streak | None, now: float
) -> Reading:
    """A number of attempts in a row failed, or every attempt of a whole window.

    It ends with a success alone: a receiver that is down gets no event for a while, too.
    """
    if streak is None:
        return UNKNOWN if count is None or not count.succeeded else CLEAR
    if streak.failures >= settings.failures:
        return Reading(
            True, streak.failures, settings.failures,
            f"{streak.failures} attempts in a row failed, the last with {streak.error}",
        )  # fmt: skip
    if count is None:
        return UNKNOWN
    if count.succeeded:
        return CLEAR
    if now - streak.since < settings.down_window or count.failed < LEAST_FAILURES:
        return UNKNOWN
    return Reading(
        True, streak.failures, settings.failures,
        f"every attempt of the last {format_duration(settings.down_window)} failed "
        f"({count.failed}), the last with {streak.error}",
    )  # fmt: skip


def lag(settings: AlertSettings, seconds: float | None, what: str) -> Reading:
    """Deliveries are late by ``seconds``; None: not known. ``what``: what has waited."""
    if seconds is None:
        return UNKNOWN
    if seconds <= settings.lag:
        return CLEAR
    return Reading(
        True, round(seconds, 1), settings.lag,
        f"{what} {format_duration(round(seconds))}, longer than {format_duration(settings.lag)}",
    )  # fmt: skip


def breaker_open(is_open: bool | None) -> Reading:
    """The circuit breaker of a webhook is open, or half-open after that; None: not known."""
    if is_open is None:
        return UNKNOWN
    if not is_open:
        return CLEAR
    return Reading(True, 1.0, 1.0, "the circuit breaker is open: attempts wait for the receiver")


def most_webhooks(affected: int, webhooks: int, what: str) -> Reading:
    """Half of the webhooks that have attempts are affected: the cause may be the gateway's side."""
    if affected < LEAST_WEBHOOKS or 2 * affected < webhooks:
        return CLEAR
    return Reading(
        True, float(affected), webhooks / 2, f"{what} of {affected} of {webhooks} webhooks"
    )
