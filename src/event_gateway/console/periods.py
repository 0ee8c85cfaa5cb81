"""Times in the filters of lists: as RFC 3339 writes them, or as a duration before now."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_DURATION = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def moment(text: str | None) -> str | None:
    """``15m``, ``1h``, ``7d`` as the time of that long ago; anything else as it is, for the
    gateway to judge; None for None."""
    found = None if text is None else _DURATION.fullmatch(text.strip())
    if found is None:
        return text
    ago = timedelta(seconds=int(found[1]) * _SECONDS[found[2]])
    try:
        return f"{datetime.now(UTC) - ago:%Y-%m-%dT%H:%M:%S}Z"
    except OverflowError:
        return text


def with_times(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters of a list as the API has them: ``since`` and ``until`` are times."""
    return {**filters, "since": moment(filters["since"]), "until": moment(filters["until"])}
