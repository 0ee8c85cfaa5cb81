"""Times as text."""

import re
from datetime import UTC, datetime
from functools import lru_cache

_PARTS = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


@lru_cache(maxsize=64)
def _whole_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@lru_cache(maxsize=64)
def rfc3339_of_ms(millis: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC, with milliseconds."""
    return f"{_whole_second(millis // 1000)}.{millis % 1000:03d}Z"


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, with milliseconds."""
    return rfc3339_of_ms(int(seconds * 1000))


def rfc3339_or_none(seconds: float | None) -> str | None:
    """As :func:`rfc3339`; None for no time."""
    return None if seconds is None else rfc3339(seconds)


LATEST = 253_402_300_799.0  # seconds: the end of the year 9999, the last that RFC 3339 can write


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return min(max(at.timestamp(), 0.0), LATEST)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text[:64]!r} is not an RFC 3339 time, such as 2026-05-04T03:02:01Z")


LONGEST = 64  # characters of a time


def instant(text: str) -> tuple[int, str] | None:
    """An RFC 3339 time as a value that sorts in the order of time, to the last digit: whole seconds
    and the digits of the fraction. None where it is not a time. A leap second sorts after the
    second before it."""
    return _instant(text) if len(text) <= LONGEST else None


@lru_cache(maxsize=1024)
def _instant(text: str) -> tuple[int, str] | None:
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    day, minute, second, fraction, offset = parts.groups()
    leap = second == "60"
    try:
        at = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{offset.upper()}")
        return int(at.timestamp()), ("9" * 12 if leap else (fraction or "").rstrip("0"))
    except (ValueError, OverflowError):
        return None
