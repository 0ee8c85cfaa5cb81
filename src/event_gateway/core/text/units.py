"""Durations and sizes as people write them in a configuration."""

import functools
import re

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdwy]))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdwy])")
_ISO = re.compile(
    r"P(?:(?P<y>\d+)Y)?(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_BYTES = {
    "": 1, "b": 1,
    "kb": 1000, "mb": 1000**2, "gb": 1000**3, "tb": 1000**4,
    "kib": 1024, "mib": 1024**2, "gib": 1024**3, "tib": 1024**4,
}  # fmt: skip
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
LONGEST = 64  # characters
MAX_SECONDS = 100 * _SECONDS["y"]


def parse_duration(text: str) -> float:
    """Seconds in ``1s``, ``1h30m``, ``7d``, ``2y`` (365 days each) or ISO 8601 ``PT5M``.

    Raises ValueError where the text is not a duration, or is longer than 100 years.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters: that is not a duration")
    if text.isdecimal():
        raise ValueError(f"{text!r} has no unit; write for example {text}s, {text}m or {text}d")
    iso = _ISO.fullmatch(text)
    if iso and any(iso.groupdict().values()):
        seconds = sum(float(n) * _SECONDS[unit] for unit, n in iso.groupdict().items() if n)
    elif _DURATION.fullmatch(text):
        seconds = sum(float(n) * _SECONDS[unit] for n, unit in _DURATION_PART.findall(text))
    else:
        raise ValueError(f"{text!r} is not a duration; write for example 30s, 5m, 1h30m, 7d or 2y")
    if seconds > MAX_SECONDS:
        raise ValueError(f"{text!r} is longer than 100 years")
    return seconds


@functools.lru_cache(maxsize=1024)
def format_duration(seconds: float) -> str:
    """A text such as ``5d14h24m`` from which :func:`parse_duration` gives ``seconds`` back."""
    if seconds < 1 and round(seconds * 1000) != 0:
        return f"{seconds * 1000:g}ms"
    whole, rest = divmod(seconds, 1)
    if rest:
        return f"{seconds:.15g}s"
    parts = []
    for unit in ("y", "d", "h", "m"):
        count, whole = divmod(whole, _SECONDS[unit])
        if count:
            parts.append(f"{int(count)}{unit}")
    if whole or not parts:
        parts.append(f"{int(whole)}s")
    return "".join(parts)


def parse_size(text: str) -> int:
    """Bytes in ``64KiB``, ``1MiB``, ``10MB`` or a bare number. Raises ValueError otherwise."""
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters: that is not a size")
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _BYTES:
        raise ValueError(f"{text!r} is not a size; write for example 64KiB, 1MiB or 10GB")
    return int(float(match[1]) * _BYTES[match[2].lower()])


def exact_size(size: int) -> str:
    """A text such as ``64KiB`` from which :func:`parse_size` gives ``size`` back."""
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def format_size(size: int) -> str:
    """A size as people read it, such as ``12 MiB``."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
