"""CEL expressions: their values, and the limits of their cost."""

import contextlib
import json
import math
import re
import resource
import sys
from collections import Counter
from typing import Any

import pytest

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression, _engine
from support.limited_work import limited_work

DATA = {"changes": {"insertions": 120}, "l": [1, 2.5, {"a": True}], "s": "text", "n": None}


def of(data: Any = DATA, kind: DataKind = DataKind.JSON, raw: bytes | None = None) -> Received:
    body = json.dumps(data).encode() if raw is None else raw
    return Received(
        Event("7", "data-east", "a.b", None, "2026-05-04T01:00:00Z", None, None,
              {"priority": 5, "urgent": True}, body, kind), "S", 1, 0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('event.data.changes.insertions > 100 && event.source.startsWith("data-")', True),
        ("event.data.changes.insertions > 100.5", True),
        ("event.priority == 5 && event.urgent", True),
        ("has(event.subject)", False),
        ("!has(event.subject) && has(event.time)", True),
        ('event["type"] == "a.b"', True),
        ('timestamp(event.time) < timestamp("2027-01-01T00:00:00Z")', True),
        ("event.data.l.exists(x, x == 2.5)", True),
        ('event.data.s.matches("^te.t$")', True),
        ("event.data.n == null", True),
        ("event.specversion", "1.0"),
        ("size(event.data.l) + 1", 4),
        ("event.data.l", [1, 2.5, {"a": True}]),
        ('duration("90s")', "90s"),
        ('b"abc"', "YWJj"),
        ('timestamp("2026-01-01T00:00:00Z")', "2026-01-01T00:00:00+00:00"),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_values(text: str, value: Any) -> None:
    assert CelExpression(text, condition=False).value(of()) == value


HUNDRED = (b"100", b"100.0", b"1e2", b"1.000e+2", b"1000E-1")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("event.data.n * 1.2", 120),
        ("event.data.n * 1.2 == 120", True),
        ("event.data.n + 0.5 > 100", True),
        ("0.5 + event.data.n - 1", 99.5),
        ("event.data.n / 8", 12),  # CEL divides whole numbers so
        ("event.data.n / 8.0", 12.5),
        ("event.data.n % 7", 2),
        ("event.data.n * event.data.half == 50", True),
        ("event.data.n == 100 && event.data.n == 100.0 && event.data.n in [5, 100]", True),
        ("event.data.n in [100.0] && {100: true}[event.data.n]", True),
        ("event.data.n >= 100 && event.data.n < 100.5 && event.data.n != 99", True),
        ("event.data.l[event.data.n / 100]", 8),
        ("string(event.data.n)", "100"),
        ("timestamp(event.data.n)", "1970-01-01T00:01:40+00:00"),
        ("type(event.data.n) == int", True),
        ("size(event.data.l) / 4.0", 0.5),
        ("event.data.l.map(x, x * 1.5) == [10.5, 12]", True),
        ("event.data.l.exists(x, x * event.data.half == 4)", True),
        ("-event.data.n", -100),
    ],
)
def test_a_number_is_its_value_however_it_is_written(text: str, value: Any) -> None:
    for number in HUNDRED:
        received = of(raw=b'{"half": 0.5, "l": [7, 8], "n": %b}' % number)
        assert CelExpression("event.type == 'a.b'").holds(received)  # shares the variables
        assert CelExpression(text, condition=False).value(received) == value, number


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        (b"9007199254740993", 9007199254740993),
        (b"18446744073709551615", 18446744073709551615),
        (b"18446744073709551616", 18446744073709551616.0),
        (b"-9223372036854775809", -9223372036854775808.0),
        (b"1e22", 1e22),
        (b"3.14159265358979323846264338", 3.141592653589793),
        (b"1" * 400, math.inf),
        (b"1" * 5000, math.inf),
        (b"-1e400", -math.inf),
    ],
)
def test_numbers_beyond_64_bits_are_the_nearest_double(number: bytes, seen: float) -> None:
    received = of(raw=b'{"deep": [{"n": %b}], "x": 1}' % number)
    assert CelExpression('event.type == "a.b" && event.data.x == 1').holds(received)
    value = CelExpression("event.data.deep[0].n", condition=False).value(received)
    assert (value, type(value)) == (seen, type(seen))
    assert CelExpression(f"event.data.deep[0].n {'<' if seen <= 0 else '>'} 0.5").holds(received)
    assert CelExpression("event.data.deep.exists(d, d.n * 2.0 != 3.0)").holds(received)
    assert CelExpression("event.data.deep[0].n / 2 != 0.3").holds(received)


def test_a_value_does_not_depend_on_other_expressions() -> None:
    for others in ([], ["event.data.n / 2 == 1"], ["event.type == 'a.b'", "event.data.n % 2 == 1"]):
        received = of(raw=b'{"n": 1e10}')
        for other in others:
            CelExpression(other).holds(received)
        assert CelExpression("event.data.n * event.data.n > 1.0").holds(received), others


def test_a_number_that_is_all_of_the_data() -> None:
    for number in (b"7", b"7.0", b" 70e-1 ", b"7.00\n"):
        assert CelExpression("event.data / 2", condition=False).value(of(raw=number)) == 3


def test_integers_of_two_kinds() -> None:
    """Those above the signed ones are uint to the engine."""
    received = of({"n": 2**63 + 7, "m": -3})
    for text, value in (
        ("event.data.n + 1", 2**63 + 8), ("event.data.n - 8", 2**63 - 1),
        ("1 + event.data.n % 10", 6),
        ("event.data.n / event.data.m", -3074457345618258605), ("event.data.n * 0.5", 2.0**62),
        ("-event.data.n", -(2.0**63)),
    ):  # fmt: skip
        assert CelExpression(text, condition=False).value(received) == value, text
    for text, kind in (("event.data.n * event.data.m", "overflow"),
                       ("event.data.n / (event.data.m + 3)", "divide_by_zero"),
                       ("event.data.n % (event.data.m + 3)", "divide_by_zero")):  # fmt: skip
        with pytest.raises(EvaluationError) as caught:
            CelExpression(text, condition=False).value(received)
        assert caught.value.kind == kind
    halves = of({"n": 1.5, "zero": 0, "none": -0.0})
    assert CelExpression("event.data.none == 0 && event.data.none * 1.5 == 0").holds(halves)
    assert (
        CelExpression("event.data.n / event.data.zero", condition=False).value(halves) == math.inf
    )
    assert CelExpression("event.data.n / (event.data.none + 0.0) > 0.0").holds(halves)


def test_deep_data_with_odd_numbers() -> None:
    depth = 600
    received = of(raw=b"[" * depth + b"1.0,18446744073709551616" + b"]" * depth)
    assert CelExpression('string(event.type) == "a.b"').holds(received)
    assert CelExpression("size(event.data) == 1").holds(received)


def test_payloads_of_every_kind() -> None:
    assert CelExpression('event.data == "text"').holds(of(kind=DataKind.TEXT, raw=b"text"))
    assert CelExpression('event.data == b"\\xff"').holds(of(kind=DataKind.BINARY, raw=b"\xff"))
    assert not CelExpression("has(event.data)").holds(of(kind=DataKind.NONE, raw=b""))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid CEL"),
        ("event.data.x ==", "line 1:"),
        ("event.type > 5", "no matching overload"),
        ("event.subject + 1 == 2", "no matching overload"),
        ("foo.bar", "undeclared reference to 'foo"),
        ("nofunction(event.data)", "undeclared reference"),
        ("event.type", "gives STRING, not true or false"),
        ("size(event.data)", "gives INT"),
        ("event.data.total * 1.2", "gives DOUBLE"),
        ("event.data.n % 2.5 == 1.0", "no matching overload"),
        ("true && " * 600 + "true", "longer than 4096"),
        ("(" * 200 + "true" + ")" * 200, "recursion"),
        ('event.data.s == "\ud800"', "half of a surrogate pair"),
        ("[1]" + ".map(a, a)" * 9 + " == [1]", "more than 8 macros"),
        ("[event.data.s]" + ".map(a, a + a)" * 8 + " == []", "costs too much"),
        ("event.data.`a//b` == 1", "back quotes"),
        (r"event.data.s == r'a' || event.data.s == 'a\'b'", "a backslash before a quote"),
        ("event.data.s.matches(event.data.p)", "as a literal"),
        ("event.data.s.matches('(a')", "not a regular expression"),
    ],
)
def test_invalid_expressions_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        CelExpression(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("event.data.nothing > 1", "no_such_key"),
        ("event.nothing == 1", "no_such_key"),
        ("event.data.s > 1", "no_matching_overload"),
        ("event.data.changes.insertions", "no_matching_overload"),
        ("event.data.l[7] == 1", "index_out_of_range"),
        ("1 / 0 == 1", "divide_by_zero"),
        ("timestamp(event.data.s) > timestamp(event.time)", "invalid_argument"),
    ],
)
def test_expressions_without_a_value(text: str, kind: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        CelExpression(text).holds(of())
    assert caught.value.kind == kind


HOSTILE: list[tuple[str, Any]] = [
    ("event.data.l.all(x, event.data.l.all(y, y >= 0))", {"l": list(range(50_000))}),
    ("event.data.l.all(x, !event.data.s.contains(x))", {"l": ["aaab"] * 9000, "s": "a" * 500_000}),
    ("event.data.l.all(x, x.m.all(y, !x.s.contains(y)))",
     {"l": [{"m": ["aaab"] * 9000, "s": "a" * 500_000}]}),
    ("event.data.l.filter(x, x in event.data.l).size() == 0", {"l": list(range(9000))}),
    ("event.data.l.map(x, event.data.l) == []", {"l": list(range(9000))}),
    ('[event.data.s].map(a, a + a).map(a, a + a).map(a, a + a) == [""]', {"s": "a" * 1_000_000}),
    (" || ".join(['event.data.s.contains("aaaaab")'] * 110), {"s": "a" * 1_000_000}),
    ('event.data.s.matches("(a+)+$b") || event.data.s.matches("(x+x+)+y")', {"s": "a" * 900_000}),
    ("event.data == event.data", {"a": [[[[]]]] * 100_000}),
    ('event.data.l.all//\n(x, !event.data.s.contains("yx"))',
     {"l": list(range(9000)), "s": "y" * 800_000}),
    ("[" + ",".join(["event.data.s"] * 250) + "].map(x, x + x + x).size() > 0",
     {"s": "a" * 900_000}),
    ("[" + ",".join(["event.data.s"] * 50) + "].exists(x, x.matches('(a|b)*a(a|b){200}c'))",
     {"s": "ab" * 250_000}),
    ("event.data.s.matches('(.{0,900}x){1}y')", {"s": "ab" * 400_000}),
    ("event.data.l.all(x, event.data.l.all(y, x" + " * y * 1.0" * 12 + " > 0))", {"l": [1] * 100}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "data"), HOSTILE)
def test_hostile_expressions_are_limited(text: str, data: Any) -> None:
    received = of(data)
    expression = CelExpression(text)
    memory = _peak()
    kind = "too_costly"
    with limited_work(text):
        try:
            expression.holds(received)
        except EvaluationError as error:
            kind = error.kind
    assert kind == "too_costly"
    assert _peak() - memory < 400 << 10


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB


@pytest.mark.parametrize("raw", [b'{"s":"admin\\u0000x"}', b'{"s\\u0000x":"admin"}'])
def test_strings_that_the_engine_would_cut_do_not_match(raw: bytes) -> None:
    with pytest.raises(EvaluationError, match="NUL"):
        CelExpression("event.data.s == 'admin'").holds(of(raw=raw))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"x":"\\ud800"}', b'{"\\ud800":1}', b'{"x":123456789012345678901234567890}',
        b'{"x":1e999}', b'{"x":' * 5000 + b"1" + b"}" * 5000, b"[" * 900 + b"]" * 900,
        b'{"x":"a\\u0000b"}', b'{"x":1,"x":2}', b"7", b'""',
    ],
)  # fmt: skip
def test_hostile_data_only_fails_to_match(raw: bytes) -> None:
    for text in ("event.data.x == 1", 'event.data.x == "a"', "event.data == event.data",
                 "has(event.data.x)", "event.data.x > 1 || event.id == '8'"):  # fmt: skip
        with contextlib.suppress(EvaluationError):
            CelExpression(text).holds(of(raw=raw))


def test_all_expressions_on_one_event_have_one_budget() -> None:
    """Many costly ones cost no more together than one may alone, and do not displace cheap ones."""
    received = of({"s": "a" * 1_000_000, "n": 7})
    costly = [
        CelExpression(" || ".join(f'event.data.s.contains("b{n}{m}")' for m in range(5)))
        for n in range(100)
    ]
    kinds = Counter[str]()
    for expression in costly:
        try:
            assert not expression.holds(received)
            kinds["evaluated"] += 1
        except EvaluationError as error:
            kinds[error.kind] += 1
    assert 0 < kinds["evaluated"] < 10
    assert kinds["too_costly"] == 100 - kinds["evaluated"]
    small = of({"n": 7})
    small.expression_work = received.expression_work
    assert CelExpression("event.data.n == 7").holds(small)
    # Another event has its own budget.
    assert not costly[-1].holds(of({"s": "a" * 1_000_000}))


def test_without_the_engine_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    _engine.cache_clear()
    try:
        with pytest.raises(
            ValueError, match="pip install 'event-gateway\\[expressions\\]'"
        ) as error:
            CelExpression("event.data.n > 1")
    finally:
        _engine.cache_clear()  # what others compile has the engine again
    assert len(str(error.value).splitlines()) == 1
