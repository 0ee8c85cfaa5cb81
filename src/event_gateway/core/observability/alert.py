"""An alert: about a webhook or over all, and what a reading of its condition makes of it."""

from typing import Literal

import msgspec
from msgspec.structs import replace

from event_gateway.core.observability.alert_rules import SEVERITIES, Reading, Timing

State = Literal["pending", "firing", "resolved"]
MAX_PAST = 20  # episodes that an alert remembers
KEPT = 7 * 86400.0  # seconds for which a resolved alert and its past episodes are kept
REFRESH = 60.0  # seconds after which value and detail of a firing alert are stored again


class Episode(msgspec.Struct, frozen=True, omit_defaults=True):
    """One time that an alert fired; times in seconds since the epoch. ``why``: how it ended."""

    since: float
    fired_at: float
    resolved_at: float
    detail: str = ""
    value: float = 0.0
    why: str = ""


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the four alerts, about ``webhook`` or (None) over all.

    Times in seconds since the epoch. ``since``: when the condition began to hold; ``fired_at`` and
    ``resolved_at``: when the alert did so. ``read_at``: when value and detail were read.
    ``clear_since``: since when the condition of a firing alert has not held. ``announced``: the
    last state of which an event was published. ``why``: how it was resolved. ``past``: the earlier
    episodes, the newest first.
    """

    name: str
    webhook: str | None
    state: State
    since: float
    detail: str = ""
    value: float = 0.0
    threshold: float = 0.0
    fired_at: float | None = None
    resolved_at: float | None = None
    read_at: float = 0.0
    clear_since: float | None = None
    announced: str = ""
    why: str = ""
    past: tuple[Episode, ...] = ()

    @property
    def turning_since(self) -> float | None:
        """Since when (Unix time) the condition has held of a pending alert, or not held of a firing
        one; None if neither."""
        return self.since if self.state == "pending" else self.clear_since

    @property
    def severity(self) -> str:
        """How urgent it is: ``warning`` or ``critical``."""
        return SEVERITIES[self.name]

    @property
    def key(self) -> tuple[str, str | None]:
        """What tells it from the other alerts."""
        return self.name, self.webhook

    @property
    def event_id(self) -> str:
        """The id of the event about its present state: the same, whichever process makes it."""
        about = f"{self.name}-{self.webhook}" if self.webhook is not None else self.name
        return f"alert-{about}-{round(self.since * 1000)}-{self.state}"

    @property
    def to_announce(self) -> bool:
        """Whether no event of its present state was published yet: a resolved alert has one if the
        firing one had."""
        if self.state == "firing":
            return self.announced != "firing"
        return self.state == "resolved" and self.announced == "firing"


def step(
    alert: Alert | None,
    key: tuple[str, str | None],
    reading: Reading,
    timing: Timing,
    now: float,
    turning: float,
) -> Alert | None:
    """What an alert becomes with a reading of its condition; None: there is none.

    ``now``: Unix time, which is stored; ``turning``: the seconds since ``turning_since``, which
    decide. Returns the same object where nothing changes that has to be stored.
    """
    if alert is None or alert.state == "resolved":
        return _begin(alert, key, reading, timing, now) if reading.holds else alert
    if reading.holds is None:
        return alert
    if alert.state == "pending":
        if not reading.holds:
            return _without_episode(alert)
        if turning < timing.hold:
            return alert
        fired_at = max(now, alert.since)  # the clock may have been set back
        return _read(replace(alert, state="firing", fired_at=fired_at), reading, now)
    if reading.holds:
        if alert.clear_since is not None:
            return _read(replace(alert, clear_since=None), reading, now)
        if abs(now - alert.read_at) >= REFRESH and reading.value != alert.value:
            return _read(alert, reading, now)
        return alert
    if alert.clear_since is None:
        alert, turning = replace(alert, clear_since=now), 0.0
    if turning >= timing.keep:
        return resolve(alert, now, "the condition does not hold any more")
    return alert


def resolve(alert: Alert, now: float, why: str) -> Alert | None:
    """The alert as it ends, whatever its condition; None if it had not fired."""
    if alert.state == "pending":
        return _without_episode(alert)
    resolved_at = max(now, alert.fired_at or alert.since)
    return replace(alert, state="resolved", resolved_at=resolved_at, clear_since=None, why=why)


def is_outdated(alert: Alert, now: float) -> bool:
    """Whether a resolved alert need not be kept any more."""
    return alert.state == "resolved" and now - (alert.resolved_at or 0.0) >= KEPT


def _begin(
    former: Alert | None, key: tuple[str, str | None], reading: Reading, timing: Timing, now: float
) -> Alert:
    past = () if former is None else _past_of(former, now)
    alert = Alert(*key, state="pending", since=now, past=past)
    if timing.hold <= 0:
        alert = replace(alert, state="firing", fired_at=now)
    return _read(alert, reading, now)


def _without_episode(alert: Alert) -> Alert | None:
    """A pending alert whose condition has ended: what it was before, as far as that is kept."""
    if not alert.past:
        return None
    last, *earlier = alert.past
    return replace(
        alert, state="resolved", since=last.since, fired_at=last.fired_at,
        resolved_at=last.resolved_at, detail=last.detail, value=last.value, why=last.why,
        announced="resolved", past=tuple(earlier),
    )  # fmt: skip


def _past_of(alert: Alert, now: float) -> tuple[Episode, ...]:
    ended = Episode(
        alert.since, alert.fired_at or alert.since, alert.resolved_at or now,
        detail=alert.detail, value=alert.value, why=alert.why,
    )  # fmt: skip
    return tuple(each for each in (ended, *alert.past) if now - each.resolved_at < KEPT)[:MAX_PAST]


def _read(alert: Alert, reading: Reading, now: float) -> Alert:
    return replace(
        alert, detail=reading.detail, value=reading.value, threshold=reading.threshold, read_at=now
    )
