"""Histories of the API as charts."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from event_gateway.core.text.times import rfc3339

# How long the range is, in seconds, and the step of its points.
RANGES = {
    "15m": (900, "10s"),
    "1h": (3600, "30s"),
    "6h": (6 * 3600, "2m"),
    "24h": (86400, "10m"),
    "7d": (7 * 86400, "1h"),
    "30d": (30 * 86400, "4h"),
}
# A webhook has points of five minutes, for a day.
WEBHOOK_RANGES = {"1h": (3600, "5m"), "6h": (6 * 3600, "5m"), "24h": (86400, "15m")}
BAD = ("failed_attempts", "dead_letters")  # series of what must not be
LEAST = 12  # points of a chart of what has just begun
HEIGHT, BAR, GAP = 28, 3, 1  # of a small chart


def asked(ranges: Mapping[str, tuple[int, str]], chosen: str | None) -> dict[str, str]:
    """The parameters ``since`` and ``step`` for a range; the first one for an unknown name."""
    seconds, step = ranges.get(chosen or "") or next(iter(ranges.values()))
    return {"since": rfc3339(time.time() - seconds), "step": step}


def as_chart(
    history: Mapping[str, Any], series: Mapping[str, str], *, rate: bool = False
) -> dict[str, Any]:
    """What ``charts.js`` draws. ``series``: members of the history by label; ``rate``: counts are
    shown per second. The chart begins with the history, so that a new gateway has more than a dot
    at its edge."""
    start, step = datetime.fromisoformat(history["since"]).timestamp(), history["step_seconds"]
    covered, first = history["covered_seconds"], _beginning(history["series"])
    return {
        "time": [start + step * number for number in range(first, len(covered))],
        "series": [
            {
                "label": label,
                "bad": name in BAD,
                "values": (
                    _rates(history["series"][name], covered) if rate else history["series"][name]
                )[first:],
            }
            for label, name in series.items()
        ],
    }


def _beginning(series: Mapping[str, Sequence[float | None]]) -> int:
    """The first point of which anything is known, or an earlier one where few would be left."""
    points = list(zip(*series.values(), strict=True))
    known = (
        number for number, point in enumerate(points) if any(each is not None for each in point)
    )
    return max(0, min(next(known, 0), len(points) - LEAST))


def _rates(counts: Sequence[float | None], covered: Sequence[int]) -> list[float | None]:
    return [
        None if count is None or not seconds else round(count / seconds, 4)
        for count, seconds in zip(counts, covered, strict=True)
    ]


def small_chart(series: Mapping[str, Any]) -> dict[str, Any]:
    """Bars of attempts, the failed ones at their foot: paths in a box of ``width`` by HEIGHT, and
    what they show in words."""
    attempts, failed = series["attempts"], series["failed_attempts"]
    highest = max((value or 0 for value in attempts), default=0)
    return {
        "width": len(attempts) * (BAR + GAP),
        "height": HEIGHT,
        "attempts": _bars(attempts, highest),
        "failed": _bars(failed, highest),
        "words": f"{sum(value or 0 for value in attempts)} attempts in 24 hours, of which "
                 f"{sum(value or 0 for value in failed)} failed",
    }  # fmt: skip


def _bars(values: Sequence[int | None], highest: int) -> str:
    if not highest:
        return ""
    parts = []
    for number, value in enumerate(values):
        if value:
            height = max(1.5, (HEIGHT - 2) * value / highest)
            parts.append(f"M{number * (BAR + GAP)} {HEIGHT}v-{height:.1f}h{BAR}V{HEIGHT}z")
    return "".join(parts)
