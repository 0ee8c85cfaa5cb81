"""CEL expressions over an event: compiled once, type-checked, and limited in their cost.

The language: github.com/google/cel-spec. ``event`` is a map of the event's attributes, extensions
among them, and its ``data``. An expression runs in the thread that routes events, so the cost of an
evaluation is estimated before it starts, from the text of the expression and the size of the
event's data.
"""

import ast
import base64
import contextlib
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Received, decoded
from event_gateway.core.matching.evaluation import EvaluationError, charge
from event_gateway.core.matching.expression_numbers import (
    has_odd_numbers,
    mixed_arithmetic,
    normalize,
)
from event_gateway.core.matching.operators import regex

MAX_LENGTH = 4096  # characters
MAX_MACROS = 8  # all, exists, exists_one, filter, map
MAX_WORK = 64_000_000  # bytes that an evaluation may read; some 0.3 s at most
MAX_GROWTH = 64 << 20  # bytes of text that it may build
MAX_STEPS = 10_000  # of all loops together: the engine's own budget
MAX_ARITHMETIC = 200_000  # operations of all loops together; some 0.3 s at most
USUAL = 64 << 10  # bytes: every expression must be able to read events of this size

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)"""
    r"""|(?P<raw>(?:[bB]?[rR]|[rR][bB])(?:'{3}.*?'{3}|"{3}.*?"{3}|'[^'\n]*'|"[^"\n]*"))"""
    r"""|(?P<text>[bB]?(?:'{3}(?:\\.|[^\\])*?'{3}|"{3}(?:\\.|[^\\])*?"{3}"""
    r"""|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))|(?P<name>[A-Za-z_]\w*)|(?P<other>\S)""",
    re.DOTALL,
)
_RAW = re.compile(r"(?<!\w)(?:[bB]?[rR]|[rR][bB])['\"]")
_ESCAPED_QUOTE = re.compile(r"\\['\"]")
_MACROS = frozenset(("all", "exists", "exists_one", "map", "filter"))
_CALLS = frozenset("+=!<>(")  # operators and calls that may read whole values
_ARITHMETIC = frozenset("+-*/%")
# What tells an int from a double of the same value. Comparisons, indexes and sums do not.
_TELLS_KINDS = frozenset(("/", "%", "string", "type", "timestamp", "duration"))
_TOO_LARGE = "out of range for"  # in the engine's error of an integer of more than 64 bits
_ATTRIBUTES = ("id", "source", "type", "specversion", "subject", "time", "datacontenttype",
               "dataschema")  # fmt: skip


class CelExpression:
    """A compiled expression. Raises ValueError where a text does not compile or costs too much."""

    __slots__ = (
        "_arithmetic", "_growth", "_operations", "_program", "_steps", "_tells_kinds", "_uses",
        "key", "text",
    )  # fmt: skip

    def __init__(self, text: str, *, condition: bool = True) -> None:
        """``condition``: the expression's type must be boolean, or dynamic."""
        self.text = text
        self.key = ("cel", text)
        if len(text) > MAX_LENGTH:
            raise ValueError(f"is longer than {MAX_LENGTH} characters")
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise ValueError("contains half of a surrogate pair, which is not a character")
        kind, self._program = _compiled(text)
        if condition and kind not in ("BOOL", "DYN"):
            raise ValueError(f"gives {kind}, not true or false")
        self._operations, self._growth, self._steps, self._uses, self._arithmetic = _estimate(text)
        self._tells_kinds = any(match.group() in _TELLS_KINDS for match in _TOKEN.finditer(text))
        if self._growth * USUAL > MAX_GROWTH:
            raise ValueError("costs too much: it concatenates text in nested loops")

    def holds(self, received: Received) -> bool:
        """Whether the expression is true for an event. Raises EvaluationError where it is neither
        true nor false, which callers treat as no match."""
        value = self._evaluate(received)
        if value.type().name() == "BOOL":
            return bool(value.value())
        raise EvaluationError(
            "no_matching_overload", f"gives {value.type().name()}, not true or false"
        )

    def value(self, received: Received) -> Any:
        """The value for an event, as a JSON value. Raises EvaluationError."""
        try:
            return _plain(self._evaluate(received).plain_value())
        except RecursionError:
            raise EvaluationError("invalid_argument", "the value is nested too deep") from None

    def _evaluate(self, received: Received) -> Any:
        data = received.event.data
        size = (len(data) + 1024) * self._uses
        # Each element follows a comma, those of the expression's own lists included.
        steps = 1
        if self._steps:
            elements = data.count(b",") + 1 + self.text.count(",")
            steps = min(MAX_STEPS, elements**self._steps)
        work = max(steps * self._operations, self._growth) * size
        if (
            steps * self._operations * size > MAX_WORK
            or self._growth * size > MAX_GROWTH
            or steps * self._arithmetic > MAX_ARITHMETIC
        ):
            raise EvaluationError("too_costly", f"for an event with {len(data)} bytes of data")
        if not charge(received, work):
            raise EvaluationError(
                "too_costly",
                f"for an event with {len(data)} bytes of data: other expressions have used "
                "what all of them together may cost",
            )
        value = self._run(received, normalized=self._tells_kinds)
        if value.type().name() == "ERROR":
            message = str(value.value())
            if _TOO_LARGE in message and not self._tells_kinds:
                value = self._run(received, normalized=True)
                message = str(value.value())
                # The engine does not take the others: no expression has to try again.
                received.activation = (received.activation[1],) * 2
            if value.type().name() == "ERROR":
                raise _named(message)
        return value

    def _run(self, received: Received, *, normalized: bool) -> Any:
        """The engine's value. ``normalized``: it needs each number of the data as the kind that its
        value has, which costs a search of the data. Expressions on one event share the variables,
        those that need this and those that do not: no value depends on what other expressions need.
        """
        plain, full = received.activation or (None, None)
        activation = full if normalized else plain
        if activation is None:
            event = received.event
            # The engine treats NUL as the end of a string.
            if b"\\u0000" in event.data or b"\0" in event.data:
                raise EvaluationError("invalid_argument", "the data contains a NUL character")
            odd = normalized and event.kind is DataKind.JSON and has_odd_numbers(event.data)
            if normalized and plain is not None and not odd:
                activation = plain
            else:
                variables = {"event": _event_of(received, normalized=odd)}
                activation = _environment().Activation(variables)
            plain = activation if not odd else plain
            received.activation = (plain, activation if normalized else full)
        try:
            return self._program.eval(activation)
        except Exception as error:  # the engine raises RuntimeError for every fault
            raise _named(str(error)) from None


@lru_cache(maxsize=4096)
def expression_of(text: str) -> CelExpression:
    """The compiled condition of a text; equal texts share one. Raises ValueError."""
    return CelExpression(text)


@lru_cache(maxsize=1)
def _engine() -> Any:
    """The CEL engine: large and not available everywhere, so it is an extra, and loaded on first
    use. Raises ValueError if it is not installed."""
    try:
        from cel_expr_python import cel
    except ImportError:
        raise ValueError(
            "expressions in CEL need the extra expressions, which there is not for Intel Macs: "
            "pip install 'event-gateway[expressions]'"
        ) from None
    return cel


@lru_cache(maxsize=4)
def _environment(*, attributes: bool = False, mixed: bool = True) -> Any:
    """An environment of the engine. Expressions run in the one without arguments.

    ``attributes``: it knows that attributes are text, and refuses ``event.type > 5``. ``mixed``: it
    has arithmetic between the kinds of numbers, whose result is dynamic.
    """
    cel = _engine()
    variables = {"event": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)}
    if attributes:
        variables |= {f"event.{name}": cel.Type.STRING for name in _ATTRIBUTES}
    return cel.NewEnv(variables=variables, extensions=[mixed_arithmetic(cel)] if mixed else [])


def _compiled(text: str) -> tuple[str, Any]:
    """The name of the type that it gives, and the program to run. Raises ValueError."""
    names = {match["name"] for match in _TOKEN.finditer(text)}
    _engine()
    # has(event.subject) asks for a member, which the environment with attributes does not know.
    attributes = "has" not in names
    try:
        program = _environment().compile(text)
        checked = _environment(attributes=True).compile(text) if attributes else program
    except Exception as error:
        reason = str(error).partition("ERROR: ")[2] or str(error)
        raise ValueError(f"is not valid CEL: {_first_line(reason)}") from None
    with contextlib.suppress(Exception):  # where it calculates with several kinds of numbers
        checked = _environment(attributes=attributes, mixed=False).compile(text)
    return checked.return_type().name(), program


def _first_line(reason: str) -> str:
    line = reason.strip().partition("\n")[0]
    return line.replace("<input>:", "line ").removesuffix(" [INVALID_ARGUMENT]")[:300]


def _estimate(text: str) -> tuple[int, int, int, int, int]:
    """The number of operations that read whole values; the factor by which text may grow; the
    depth of nested loops that may read the same values again (0: each value is read once); how
    often the expression names the event; and the number of its arithmetic operations.

    Raises ValueError if these cannot be determined.
    """
    if _RAW.search(text) and _ESCAPED_QUOTE.search(text):
        # Engines disagree on where such a string ends.
        raise ValueError(
            "mixes a raw string (r'…') with a backslash before a quote; use an ordinary string"
        )
    operations, plus, macros, deepest, uses, again, arithmetic = 1, 0, 0, 0, 0, False, 0
    inside: list[bool] = []  # of each open bracket: whether a macro's body
    tokens = [match for match in _TOKEN.finditer(text) if not match["comment"]]
    former = ""
    for position, match in enumerate(tokens):
        token = match.group()
        if match["raw"] or match["text"]:
            former = ""
            continue
        if token == "`":
            raise ValueError("contains a name in back quotes, which is not supported")
        if token == "(":
            inside.append(former in _MACROS)
            macros += former in _MACROS
            deepest = max(deepest, sum(inside))
        elif token in "[{":
            inside.append(False)
        elif token in ")]}" and inside:
            inside.pop()
        elif token == "event":
            uses += 1
            again = again or any(inside)
        elif token == "matches":
            operations += 3 * _program(tokens[position + 1 : position + 4])
        plus += token == "+"
        arithmetic += token in _ARITHMETIC
        operations += token in _CALLS or token == "in"
        former = token
    if macros > MAX_MACROS:
        raise ValueError(f"has more than {MAX_MACROS} macros (all, exists, map, filter…)")
    growth = (plus + 1) ** (macros + 1)
    depth = deepest if again or deepest > 1 else 0
    return operations, growth, depth, max(1, uses), arithmetic


def _program(following: list[re.Match[str]]) -> int:
    """The size of the regular expression that matches is called with, which must be a literal."""
    if len(following) == 3:
        opening, pattern, closing = following
        if (
            opening.group() == "("
            and closing.group() == ")"
            and (pattern["raw"] or pattern["text"])
        ):
            try:
                return int(regex(ast.literal_eval(pattern.group())).programsize)
            except (SyntaxError, TypeError):
                pass
    raise ValueError('matches needs its regular expression as a literal: x.matches("^a")')


def _event_of(received: Received, *, normalized: bool) -> dict[str, Any]:
    event = received.event
    out: dict[str, Any] = dict(event.extensions)
    for name in _ATTRIBUTES:
        value = event.attribute(name)
        if value is not None:
            out[name] = value
    data = received.payload()
    if normalized:
        data = normalize(decoded(event.data))  # a copy: filters see the numbers as they are
    if data is not msgspec.UNSET:
        out["data"] = data
    return out


_KINDS = (
    ("overload", "no_matching_overload"),
    ("Key not found", "no_such_key"),
    ("no such", "no_such_field"),
    ("Applying SELECT", "no_such_field"),
    ("Index error", "index_out_of_range"),
    ("divide by zero", "divide_by_zero"),
    ("modulus by zero", "divide_by_zero"),
    ("budget", "too_costly"),
    ("overflow", "overflow"),
)


def _named(message: str) -> EvaluationError:
    line = re.sub(r"^[A-Z_]+: ", "", _first_line(message))[:200]
    for words, kind in _KINDS:
        if words in line:
            return EvaluationError(kind, line)
    return EvaluationError("invalid_argument", line)


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
