"""Directives in a receiver's response: when to retry, and whether to send anything more."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

DIRECTIVES = "webhook-delivery"  # a header
MAX_DIGITS = 10  # of a number of seconds; a longer one is endless


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the receiver wants the next attempt (RFC 9110, 10.2.3: seconds or a date).

    None where the header is missing or malformed. ``now`` in seconds since the epoch. A date counts
    from the ``Date`` of the response, where it has one: the receiver's clock may be wrong.
    """
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) <= MAX_DIGITS else math.inf
    at = _time_of(value)
    if at is None:
        return None
    said_at = _time_of(headers.get("date", "").strip())
    return max(0.0, at - (now if said_at is None else said_at))


def _time_of(date: str) -> float | None:
    """The seconds since the epoch of an HTTP date; None if it is none."""
    try:
        parsed = parsedate_to_datetime(date)
        # The old form of a date names no zone; it is GMT all the same.
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def aborts(headers: Mapping[str, str]) -> bool:
    """Whether the receiver wants no further attempt of this event (``webhook-delivery``)."""
    return "abort-message" in _directives(headers)


def disables(headers: Mapping[str, str]) -> bool:
    """Whether the receiver wants no further event at all (``webhook-delivery``)."""
    return "disable" in _directives(headers)


def _directives(headers: Mapping[str, str]) -> set[str]:
    if DIRECTIVES not in headers:
        return set()
    return {name.strip() for name in headers[DIRECTIVES].lower().split(",")}
