"""Values as people read them: the filters of the templates."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
NONE = "\u2013"  # where there is no value
MARK, STEPS = "~", (".", "..")
MAX_GROWTH = 10  # times, of JSON that is indented
ALWAYS_INDENTED = 1000  # characters beside that


def number(value: float | None) -> str:
    """A count with thousands separated, a fraction with three digits."""
    if value is None:
        return NONE
    if isinstance(value, int) or value == int(value):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.3g}" if abs(value) < 1000 else number(round(value))


def per_second(value: float | None) -> str:
    """How many a second; what is rare, a minute."""
    if value is None:
        return NONE
    if 0 < value < 0.1:
        return f"{value * 60:.2g}/min"
    return f"{number(float(f'{value:.2g}') if value < 100 else round(value))}/s"


def percent(value: float | None) -> str:
    """A part of 1 as per cent."""
    if value is None:
        return NONE
    shown = value * 100
    return f"{shown:.0f}\u202f%" if shown in (0, 100) else f"{min(shown, 99.9):.1f}\u202f%"


def seconds(value: float | None) -> str:
    """A duration in its largest unit, below one second in milliseconds."""
    if value is None:
        return NONE
    if value < 1:
        return f"{round(value * 1000)}\u202fms"
    for size, unit in _UNITS:
        if value >= size:
            shown = value / size
            return f"{shown:.0f}\u202f{unit}" if shown >= 10 else f"{shown:.2g}\u202f{unit}"
    return NONE


def size(value: float | None) -> str:
    """Bytes in their largest unit."""
    if value is None:
        return NONE
    for unit in _SIZES:
        if value < 1024 or unit == _SIZES[-1]:
            return f"{number(round(value, 1) if value < 10 else round(value))}\u202f{unit}"
        value /= 1024
    return NONE


def when(value: str | float | None) -> Markup:
    """A time (RFC 3339) as an element that the page shows in the reader's zone."""
    if not value:
        return Markup(NONE)  # noqa: S704
    text = str(value)
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return escape(text)
    exact = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, exact, exact)


def pretty(value: Any) -> str:
    """JSON, indented; on one line where indenting makes it many times longer, as each level of
    nesting moves all lines within it."""
    line = json.dumps(value, ensure_ascii=False)
    most, parts = MAX_GROWTH * len(line) + ALWAYS_INDENTED, []
    for part in json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(value):
        parts.append(part)
        most -= len(part)
        if most < 0:
            return line
    return "".join(parts)


def segment(value: object) -> str:
    """A text as one segment of a path; ``of_segment`` is the way back. Browsers take ``.`` and
    ``..`` for steps in the path, also if they are encoded, so these get a mark."""
    text = str(value)
    return quote(f"{MARK}{text}" if text.lstrip(MARK) in STEPS else text, safe="")


def of_segment(text: str) -> str:
    """The text of which :func:`segment` has made a segment, which is decoded already."""
    return text[1:] if text.startswith(MARK) and text.lstrip(MARK) in STEPS else text


def query(values: dict[str, Any]) -> str:
    """The query of a URL, without what is empty; begins with ``?`` unless nothing is left."""
    given = {name: value for name, value in values.items() if value not in (None, "", [])}
    return f"?{urlencode(given, doseq=True)}" if given else ""


def marked(text: str) -> Markup:
    """A text of the gateway, in which what is between backticks is code."""
    parts = str(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 and number < len(parts) - 1 else part
        for number, part in enumerate(parts)
    )


def member(value: Any, name: str) -> str:
    """The value of a member of an answer, by the unit that ends its name."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return NONE
    if isinstance(value, (int, float)):
        if name.endswith("max_bytes") and not value:
            return "no limit"
        if name.endswith("bytes"):
            return size(value)
        return seconds(value) if name.endswith("seconds") else number(value)
    return str(value)


FILTERS = {
    each.__name__: each
    for each in (
        number,
        per_second,
        percent,
        seconds,
        size,
        when,
        pretty,
        segment,
        query,
        marked,
        member,
    )
}
