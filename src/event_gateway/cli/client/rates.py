"""Rates in options: 100/s."""

import re

_RATE = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_rate(text: str) -> float:
    """A rate such as ``6000/m``, as a number for each second. Raises ValueError."""
    match = _RATE.fullmatch(text.replace(" ", ""))
    if match is None or float(match[1]) <= 0:
        raise ValueError(f"--rate: {text[:64]!r} is not a rate such as 100/s or 6000/m")
    return float(match[1]) / _SECONDS[match[2]]
