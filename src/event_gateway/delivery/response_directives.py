"""Directives in a receiver's response: when to retry, and whether to send anything more."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MAX_DIGITS = 10


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds until the receiver wants the next attempt (RFC 9110, 10.2.3: seconds or a date).

    None where the header is missing or malformed. ``now`` in seconds since the epoch.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value) if len(value) <= MAX_DIGITS else None
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    # The old form of a date names no zone; it is GMT all the same.
    at = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now)


def aborts(headers: Mapping[str, str]) -> bool:
    """Whether the receiver wants no further attempt of this event (``webhook-delivery``)."""
    return "abort-message" in _directives(headers)


def disables(headers: Mapping[str, str]) -> bool:
    """Whether the receiver wants no further event at all (``webhook-delivery``)."""
    return "disable" in _directives(headers)


def _directives(headers: Mapping[str, str]) -> set[str]:
    if "webhook-delivery" not in headers:
        return set()
    return {name.strip() for name in headers["webhook-delivery"].lower().split(",")}
