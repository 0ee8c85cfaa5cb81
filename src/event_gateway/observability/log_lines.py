"""What a log line may hold: processors of structlog that bound and clean its fields."""

import itertools
import re
import sys
import time
import traceback
from collections.abc import Iterator, MutableMapping
from typing import Any

from structlog import DropEvent

MAX_TEXT = 1000  # characters of a value
MAX_NESTED = 200  # characters of a value in a list or an object
MAX_TRACEBACK = 6000
MAX_ITEMS = 20  # of a list or an object
MAX_FRAMES = 30  # of each exception, the innermost
MAX_CHAIN = 8  # exceptions that were raised while another one was handled

MAX_ALIKE = 50  # lines in a second with the same text about the same webhook
MAX_ALIKE_INFO = 10  # the same, of lines that warn of nothing
MAX_LINES = 500  # lines in a second

Fields = MutableMapping[str, Any]
_CALM = frozenset(("debug", "info"))
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")


class LineLimit:
    """Leaves out lines beyond a number in each second, as a receiver or a publisher can cause any
    number of them. The next line says how many were left out."""

    def __init__(self) -> None:
        self._second = 0.0
        self._alike: dict[tuple[str, str], int] = {}
        self._lines = 0
        self._left_out = 0

    def __call__(self, _logger: Any, method: str, fields: Fields) -> Fields:
        """A processor. Raises DropEvent."""
        if not self.takes(method, str(fields["event"]), str(fields.get("webhook"))):
            self._left_out += fields.get("lines_left_out") or 0  # which this one would have told
            raise DropEvent
        if self._left_out:
            fields["lines_left_out"] = (fields.get("lines_left_out") or 0) + self.left_out()
        return fields

    def left_out(self) -> int:
        """How many lines were left out since the last call."""
        left_out, self._left_out = self._left_out, 0
        return left_out

    def takes(self, method: str, text: str, webhook: str) -> bool:
        """Whether there is a line for this; counts it. ``method``: that of the log, such as
        ``info``."""
        now = time.monotonic()
        if now - self._second >= 1.0:
            self._second = now
            self._alike.clear()
            self._lines = 0
        kind, most = (text, webhook), MAX_ALIKE_INFO if method in _CALM else MAX_ALIKE
        alike = self._alike.get(kind, 0)
        if alike >= most or self._lines >= MAX_LINES:
            self._left_out += 1
            return False
        self._alike[kind] = alike + 1
        self._lines += 1
        return True


def with_exception(_logger: Any, _method: str, fields: Fields) -> Fields:
    """``exc_info`` (an exception, or True) and ``fault`` (an exception) become ``exception``: the
    traceback in one string. Of ``fault`` it has no text of an exception, as that may quote the
    data of an event."""
    if "fault" not in fields and "exc_info" not in fields:
        return fields
    fault, given = fields.pop("fault", None), fields.pop("exc_info", None)
    error = fault or _current(given)
    if isinstance(error, BaseException):
        lines = list(_traceback(error, quotes=fault is None))
        text = "".join(lines).rstrip("\n")
        if len(text) > MAX_TRACEBACK:
            half = MAX_TRACEBACK // 2
            text = f"{text[:half]}\n…\n{text[-half:]}"
        fields["exception"] = _SURROGATES.sub("?", text)
    return fields


def bounded(_logger: Any, _method: str, fields: Fields) -> Fields:
    """Values become text, numbers, lists and objects of a limited size; fields without a value are
    left out."""
    limited = {}
    for name, value in fields.items():
        if value is None:
            continue
        kind = type(value)
        # Most are: each failed attempt logs twelve short texts, and some numbers.
        is_short = kind is str and len(value) <= MAX_NESTED and value.isascii()
        plain = is_short or kind is int or name == "exception"
        limited[name] = value if plain else _bounded(value)
    return limited


def printable(_logger: Any, _method: str, fields: Fields) -> Fields:
    """For a terminal: texts without control characters, which a publisher or a receiver may have
    chosen, and without the module. Tracebacks keep their lines."""
    del fields["logger"]
    for name, value in fields.items():
        if isinstance(value, str):
            if name == "exception":
                fields[name] = "\n".join(_escaped(line) for line in value.split("\n"))
            else:
                fields[name] = _escaped(value)
    return fields


def _current(given: Any) -> Any:
    if isinstance(given, tuple):
        return given[1]
    if given is True:
        return sys.exc_info()[1]
    return given


def _traceback(error: BaseException, *, quotes: bool) -> Iterator[str]:
    chain = [error]
    while len(chain) < MAX_CHAIN:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    for cause in reversed(chain):
        if cause.__traceback__ is not None:
            yield "Traceback (most recent call last):\n"
            yield from traceback.format_tb(cause.__traceback__, limit=-MAX_FRAMES)
        if quotes:
            yield from (line[: MAX_TEXT * 2] for line in traceback.format_exception_only(cause))
        else:
            yield f"{type(cause).__name__}\n"
        if cause is not error:
            yield "\nThen, while that was handled:\n\n"


def _bounded(value: Any, depth: int = 0) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if depth < 2 and isinstance(value, (list, tuple, set, frozenset)):
        items = [_bounded(item, depth + 1) for item in itertools.islice(value, MAX_ITEMS)]
        more = len(value) - len(items)
        return [*items, f"and {more} more"] if more else items
    if depth < 2 and isinstance(value, dict):
        return {
            _text(key, MAX_NESTED): _bounded(item, depth + 1)
            for key, item in itertools.islice(value.items(), MAX_ITEMS)
        }
    return _text(value, MAX_NESTED if depth else MAX_TEXT)


def _text(value: Any, limit: int) -> str:
    try:
        text = value if type(value) is str else str(value)
    except Exception:  # of an object of a library
        text = type(value).__name__
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    return _SURROGATES.sub("?", text)


def _escaped(text: str) -> str:
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
