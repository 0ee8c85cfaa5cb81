"""Silences: alerts that somebody knows of, and that are not announced for a while."""

from collections.abc import Iterable

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.observability.alert import Alert
from event_gateway.core.observability.alert_rules import NAMES

MAX_SILENCES = 500
MAX_COMMENT = 500  # characters
LONGEST = 366 * 86400.0  # seconds


class Silence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Silences the alerts of a name, about a webhook, or both; None: any. ``until`` and
    ``created_at`` in seconds since the epoch; ``created_by``: who made it."""

    id: str
    name: str | None
    webhook: str | None
    until: float
    created_at: float
    created_by: str
    comment: str = ""

    def applies_to(self, alert: Alert, now: float) -> bool:
        """Whether an alert is silenced by this now."""
        return (
            now < self.until
            and self.name in (None, alert.name)
            and self.webhook in (None, alert.webhook)
        )


def check_silence(silence: Silence, now: float) -> None:
    """Raises InvalidDefinition where a silence cannot be made."""
    if silence.name is None and silence.webhook is None:
        raise InvalidDefinition("name", "give the name of an alert, a webhook, or both")
    if silence.name is not None and silence.name not in NAMES:
        raise InvalidDefinition("name", f"is not an alert; there are: {', '.join(NAMES)}")
    if not now < silence.until <= now + LONGEST:
        raise InvalidDefinition("until", "must be later than now, and at most 366 days")
    if len(silence.comment) > MAX_COMMENT:
        raise InvalidDefinition("comment", f"has more than {MAX_COMMENT} characters")


def silence_of(silences: Iterable[Silence], alert: Alert, now: float) -> Silence | None:
    """The silence that applies to an alert for the longest time; None if there is none."""
    applying = [silence for silence in silences if silence.applies_to(alert, now)]
    return max(applying, key=lambda silence: silence.until, default=None)
