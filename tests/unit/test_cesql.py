"""CESQL as a library: properties that hold of every expression, and its limits."""

import itertools
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.cesql import (
    BUILT_IN,
    MAX_DEPTH,
    MAX_LENGTH,
    ErrorType,
    Expression,
    Function,
    FunctionFailed,
    Functions,
    ParseError,
    Type,
    parse,
)
from event_gateway.core.cesql.casts import CASTS, is_value, type_of
from event_gateway.core.cesql.like import matcher
from support import naive_cesql

_ATTRIBUTES = ["id", "type", "subject", "ext", "n", "flag", "data", "missing", "Upper", "in1", "9a"]
_texts = st.sampled_from(
    ["", "a", "A", "abc", "1", "-7", "true", "FALSE", "it's", '"', "ä", "%", "\\"]
)
_strings = (_texts | st.text("ab'\"\\%_ ", max_size=5)).map(
    lambda text: "'" + text.replace("\\", "").replace("'", "\\'") + "'"
) | st.text("ab'\\%_ ", max_size=4).map(lambda text: '"' + text.replace("\\", "\\\\") + '"')
_integers = st.integers(-3, 12).map(str) | st.sampled_from(
    ["2147483647", "-2147483648", "+5", "007"]
)
_atoms = (
    st.sampled_from(_ATTRIBUTES)
    | st.sampled_from(_ATTRIBUTES)
    | _strings
    | _integers
    | st.sampled_from(["TRUE", "false", "EXISTS subject", "exists missing", "CONCAT()", "NOFUNC()"])
)
_NAMES = ["LENGTH", "concat", "Concat_ws", "LOWER", "UPPER", "TRIM", "LEFT", "RIGHT", "SUBSTRING",
          "ABS", "INT", "BOOL", "STRING", "IS_INT", "IS_BOOL", "NOFUNC"]  # fmt: skip
_BINARY = [
    "AND",
    "OR",
    "XOR",
    "and",
    "=",
    "!=",
    "<>",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
]


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(inner, min_size=1, max_size=3).map(", ".join)
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("NOT {}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(_BINARY), inner),
        st.builds("{} {} {} {} {}".format, inner, st.sampled_from(["AND", "OR", "+"]), inner,
                  st.sampled_from(["AND", "OR", "+", "="]), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from(["LIKE", "NOT LIKE"]), _strings),
        st.builds("{} {} ({})".format, inner, st.sampled_from(["IN", "not in"]), lists),
        st.builds("{}({})".format, st.sampled_from(_NAMES), lists),
    )  # fmt: skip


expressions = st.recursive(_atoms, _larger, max_leaves=12)
events = st.fixed_dictionaries(
    {"id": st.just("1"), "source": st.just("/s"), "specversion": st.just("1.0"),
     "type": st.sampled_from(["a", "abc", "a.b"])},
    optional={"subject": _texts, "ext": _texts, "n": st.integers(-8, 12), "flag": st.booleans(),
              "data": st.just({"a": 1}), "9a": _texts, "in1": st.sampled_from(["5", "x"])},
)  # fmt: skip


@given(expressions)
def test_parse_print_parse(text: str) -> None:
    expression = parse(text)
    again = parse(str(expression))
    assert again == expression
    assert hash(again) == hash(expression)
    assert str(again) == str(expression)
    assert (again.type, again.cost, again.attributes) == (
        expression.type, expression.cost, expression.attributes,
    )  # fmt: skip


@given(expressions, events)
def test_the_same_as_evaluated_node_by_node(text: str, event: dict[str, Any]) -> None:
    expression = parse(text)
    value, errors = expression.evaluate(event)
    expected, kinds = naive_cesql.evaluate(expression.tree, event)
    assert (type(value), value) == (type(expected), expected)
    assert sorted(error.type for error in errors) == kinds
    if expression.type is not None:
        assert type_of(value) is expression.type


@given(expressions, events)
def test_fail_fast_gives_the_first_error_and_the_zero_value(
    text: str, event: dict[str, Any]
) -> None:
    expression = parse(text)
    value, errors = expression.evaluate(event)
    fast, first = expression.evaluate(event, fail_fast=True)
    assert first == errors[:1]
    assert not fast if errors else (type(fast), fast) == (type(value), value)
    assert expression.matches(event) is (value is True and not errors)


@given(expressions, events)
def test_conjuncts_and_what_an_index_may_require(text: str, event: dict[str, Any]) -> None:
    expression = parse(text)
    matches = expression.matches(event)
    assert matches is all(part.matches(event) for part in expression.conjuncts)
    if matches:
        for name, values in expression.required:
            actual = event[name]
            assert (str(actual).lower() if isinstance(actual, bool) else str(actual)) in values


def test_required_values() -> None:
    def required(text: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(name, values) for name, values in parse(text).required]

    assert required("type = 'a' AND subject = 'b'") == [("type", ("a",)), ("subject", ("b",))]
    assert required("(type = 'a') AND (n > 1 AND subject IN ('b', 'c', 'b'))") == [
        ("type", ("a",)), ("subject", ("b", "c")),
    ]  # fmt: skip
    assert required("type = 'a' OR n > 1 AND subject = 'b'") == [("subject", ("b",))]
    for text in ("type = 'a' OR subject = 'b'", "NOT (type = 'a')", "type != 'a'", "n = 5",
                 "flag = TRUE", "'a' = type", "n IN ('05')", "flag IN ('TRUE')", "n NOT IN ('5')",
                 "LOWER(type) = 'a'", "type = 'a' XOR TRUE", "n IN (5, 'a')"):  # fmt: skip
        assert required(text) == []


_PIECES = ["AND", "OR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "'a'", '"', "'", "(", ")", ",", "-",
           "+", "1", "99999999999", "id", "n", "=", "<>", "!", "%", "LENGTH", "LENGTH(", "\\", " ",
           "\n", "_", ".", "é", "\0", "\ud800"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES) | st.text(max_size=3), max_size=14).map("".join), events)
def test_any_text_is_refused_with_its_position_or_evaluated(
    text: str, event: dict[str, Any]
) -> None:
    expression = _parsed_or_refused(text)
    if expression is None:
        return
    value, errors = expression.evaluate(event)
    assert is_value(value, Type.ANY)
    assert all(error.type in ErrorType for error in errors)


def _parsed_or_refused(text: str) -> Expression | None:
    refused = []
    try:
        return parse(text)
    except ParseError as error:
        refused.append(error)
    assert 0 <= refused[0].position <= len(text)
    assert str(refused[0]).startswith(f"line {refused[0].line}, column {refused[0].column}: ")
    return None


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("attribute", "value", "kinds"),
    [
        (b"\x00\xff", "AP8=", []),
        (datetime(2026, 11, 29, 10, tzinfo=UTC), "2026-11-29T10:00:00Z", []),
        (1.5, "1.5", []),
        (2**31, "2147483648", []),
        (-(2**31), -(2**31), []),
        (["a"], "['a']", []),
        (ErrorType.MATH, "MathError", []),
        (10**5000, "", ["GenericError"]),
        (_Unprintable(), "", ["GenericError"]),
        (None, False, ["MissingAttributeError"]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_attributes_of_any_type_are_strings(attribute: Any, value: Any, kinds: list[str]) -> None:
    given_value, errors = parse("ext").evaluate({"ext": attribute})
    assert (type(given_value), given_value) == (type(value), value)
    assert [error.type for error in errors] == kinds


def test_attributes_by_a_function() -> None:
    assert parse("type = 'a'").evaluate_with({"type": "a"}.get) == (True, [])


# casts

_VALUES: list[Any] = [
    "", "a", "true", "FALSE", "tRuE", " true", "0", "1", "-1", "+1", "0010", "--1", "1.0", "1e3",
    "+", "2147483647", "2147483648", "-2147483648", "-2147483649", "0" * 5000 + "5", "9" * 5000,
    "\u0661", "²",
    0, 1, -1, 7, 2147483647, -2147483648, True, False,
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "target"),
    [*itertools.product(_VALUES, (str, int, bool))],
    ids=lambda given: ascii(given)[:16],
)
def test_every_cast_in_every_place(value: Any, target: type) -> None:
    """By a function, by an operator, by an argument and in a set, of an attribute of the event."""
    noted: list[str] = []
    expected = naive_cesql.cast(value, target, noted)
    name = {str: "STRING", int: "INT", bool: "BOOL"}[target]
    event = {"ext": value}
    cases: dict[str, Any] = {f"{name}(ext)": expected}
    if target is int:
        cases |= {
            "ext * 1": expected,
            "LEFT('aaaaaaaaaa', ext) = ''": None,
            "ext <= 2147483647": True,
        }
        cases |= {"ext = 7": expected == 7, "7 IN (ext)": expected == 7}
    elif target is bool:
        cases |= {"NOT ext": not expected, "ext AND TRUE": expected, "ext XOR TRUE": not expected}
        cases |= {"ext = TRUE": expected is True, "TRUE IN (ext)": expected is True}
    else:
        cases |= {"CONCAT(ext)": expected, "ext LIKE '%'": True, "ext = '7'": expected == "7"}
        cases |= {"'7' IN (ext)": expected == "7", "LENGTH(ext)": len(expected)}
    for text, result in cases.items():
        actual, errors = parse(text).evaluate(event)
        kinds = [error.type for error in errors if error.type != "FunctionEvaluationError"]
        assert kinds == noted, text
        if result is not None:
            assert (type(actual), actual) == (type(result), result), text
    if target is int:
        assert parse("IS_INT(ext)").evaluate(event) == (not noted, [])
    elif target is bool:
        assert parse("IS_BOOL(ext)").evaluate(event) == (not noted, [])


@given(st.text("0123456789+- \u0661_.", max_size=13))
def test_integers_in_strings(text: str) -> None:
    value, errors = parse("INT(ext)").evaluate({"ext": text})
    valid = re.fullmatch("[+-]?[0-9]+", text, re.ASCII) and -(2**31) <= int(text) < 2**31
    assert value == (int(text) if valid else 0)
    assert [error.type for error in errors] == ([] if valid else ["CastError"])


# functions

_ARGUMENTS = ["'abc'", "''", "'5'", "2", "0", "-1", "-2147483648", "TRUE", "subject", "missing"]


@pytest.mark.parametrize("function", [*BUILT_IN], ids=lambda function: function.signature)
def test_each_function_with_each_number_and_type_of_arguments(function: Function) -> None:
    event = {"subject": "ab"}
    for arity in range(5):
        chosen = BUILT_IN.find(function.name, arity)
        for arguments in itertools.product(
            _ARGUMENTS if arity < 4 else _ARGUMENTS[3:6], repeat=arity
        ):
            expression = parse(f"{function.name}({', '.join(arguments)})")
            value, errors = expression.evaluate(event)
            kinds = [error.type for error in errors]
            if chosen is None:
                assert (value, kinds) == (False, ["MissingFunctionError"])
                assert expression.missing_functions == ((function.name, arity),)
            elif "missing" in arguments:
                assert "MissingAttributeError" in kinds
                assert (type_of(value), bool(value)) == (chosen.result, False)
            else:
                assert type_of(value) is chosen.result
                assert set(kinds) <= {"CastError", "FunctionEvaluationError", "MathError"}
            assert (value, sorted(kinds)) == naive_cesql.evaluate(expression.tree, event)


def _function(name: str, *parameters: Type, rest: Type | None = None, **more: Any) -> Function:
    given = {"result": Type.INTEGER, "body": lambda *values: len(values), **more}
    return Function(name=name, parameters=parameters, rest=rest, **given)


def test_overloads_that_the_specification_allows() -> None:
    first, second = _function("ABC", Type.STRING), _function("ABC", Type.STRING, Type.STRING)
    more = _function("abc", Type.STRING, Type.STRING, Type.STRING, rest=Type.STRING)
    functions = BUILT_IN.with_functions(first, second, more)
    for arity in range(1, 6):
        text = f"Abc({', '.join(['1'] * arity)})"
        assert parse(text, functions=functions).evaluate({}) == (arity, [])
    assert parse("ABC()", functions=functions).evaluate({})[1][0].message == (
        "ABC does not take 0 arguments"
    )
    assert "abc" in functions
    assert "ABC" in functions.names
    assert "ABC" not in BUILT_IN


def test_overloads_that_cannot_be_told_apart() -> None:
    three = _function("ABC", Type.STRING, Type.STRING, Type.STRING)
    with pytest.raises(ValueError, match="needs more than 3 fixed parameters"):
        Functions([_function("ABC", rest=Type.STRING), three])
    with pytest.raises(ValueError, match="needs more than 3 fixed parameters"):
        Functions([three, _function("ABC", *[Type.STRING] * 3, rest=Type.STRING)])
    Functions([three, _function("ABC", *[Type.STRING] * 4, rest=Type.STRING)])
    with pytest.raises(ValueError, match="ABC is defined twice for 1 arguments"):
        Functions([_function("ABC", Type.STRING), _function("abc", Type.INTEGER)])
    with pytest.raises(ValueError, match="twice for any number"):
        Functions([_function("A", rest=Type.STRING), _function("A", Type.ANY, rest=Type.STRING)])
    with pytest.raises(ValueError, match="LENGTH is defined twice"):
        BUILT_IN.with_functions(_function("LENGTH", Type.STRING))


@pytest.mark.parametrize("name", ["", "_A", "A1", "A-B", "É", "and", "TRUE"])
def test_names_that_no_function_can_have(name: str) -> None:
    with pytest.raises(ValueError, match=r"name|keyword"):
        _function(name)
    with pytest.raises(ValueError, match="needs a String, an Integer or a Boolean"):
        _function("A", result=Type.ANY)


@pytest.mark.parametrize(
    ("body", "value", "kind"),
    [
        (lambda: 1, 1, None),
        (lambda: True, 0, "FunctionEvaluationError"),
        (lambda: "1", 0, "FunctionEvaluationError"),
        (lambda: None, 0, "FunctionEvaluationError"),
        (lambda: 2**31, 0, "FunctionEvaluationError"),
        (lambda: 1 // 0, 0, "FunctionEvaluationError"),
    ],
)
def test_functions_of_users_that_fail(body: Any, value: int, kind: str | None) -> None:
    functions = BUILT_IN.with_functions(_function("F", body=body))
    actual, errors = parse("F()", functions=functions).evaluate({})
    assert (type(actual), actual) == (int, value)
    assert [error.type for error in errors] == ([kind] if kind else [])


def test_a_function_that_gives_a_value_and_an_error() -> None:
    def fail(value: Any) -> int:
        raise FunctionFailed("no luck", value, ErrorType.GENERIC)

    functions = BUILT_IN.with_functions(_function("F", Type.ANY, body=fail))
    value, (error,) = parse("F(5) + 1", functions=functions).evaluate({})
    assert (value, error.type, error.message, error.position) == (6, "GenericError", "no luck", 0)
    assert str(error) == "GenericError: no luck"
    assert parse("F('a')", functions=functions).evaluate({})[0] == 0


# patterns


@given(st.text("ab%\\", max_size=9), st.text("ab%_\\", max_size=7))
def test_patterns_as_the_specification_defines_them(text: str, pattern: str) -> None:
    assert matcher(pattern)(text) is naive_cesql.like(text, naive_cesql.entries(pattern))


@pytest.mark.parametrize(
    "pattern",
    [
        "%a" * 2000 + "%b",
        "%" + "a_" * 1000 + "b%",
        "%" + "_" * 2000 + "b%",
        "%" * 4000,
        "_%" * 2000 + "b",
    ],
)
def test_patterns_without_an_end_to_the_backtracking(pattern: str) -> None:
    expression = parse(f"subject LIKE '{pattern}'")
    assert expression.evaluate({"subject": "a" * 100_000}) == (pattern == "%" * 4000, [])


# limits


def test_deep_nesting_is_refused_where_it_gets_too_deep() -> None:
    for opening in ("(", "NOT ", "-", "LENGTH(", "1 IN (", "CONCAT('a', ("):
        with pytest.raises(ParseError, match="nested more than 100 deep"):
            parse(opening * 100_000, max_length=10_000_000)
    with pytest.raises(ParseError, match="nested more than 100 deep") as caught:
        parse("(" * 100_000 + "1" + ")" * 100_000, max_length=10_000_000)
    assert caught.value.position == MAX_DEPTH
    assert parse("(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH).evaluate({}) == (1, [])
    deepest = MAX_DEPTH - 1
    assert parse("ABS(" * deepest + "-1" + ")" * deepest).evaluate({}) == (1, [])


@pytest.mark.parametrize(
    ("opening", "closing", "height"),
    [
        ("TRUE OR 1 = 1 + 1 * (", ") LIKE 'a'", 5),
        ("(", " * 1 + 1 = 1 AND TRUE) LIKE 'a'", 5),
        ("ABS(1 + ", ")", 2),
        ("1 IN (1, 1 + ", ")", 2),
        ("NOT (1 = ", ")", 2),
    ],
)
def test_operators_within_each_other_count(opening: str, closing: str, height: int) -> None:
    times = (MAX_DEPTH - 1) // height
    expression = parse(opening * times + "1" + closing * times)
    assert parse(str(expression)) == expression
    assert expression.evaluate({})[0] == naive_cesql.evaluate(expression.tree, {})[0]
    with pytest.raises(ParseError, match="nested more than 100 deep"):
        parse(opening * (times + 1) + "1" + closing * (times + 1))


@pytest.mark.parametrize(
    "text",
    [
        " AND ".join(["n = 5"] * 4_000), " OR ".join(["n = 4"] * 4_000),
        " XOR ".join(["TRUE"] * 4_000), " AND ".join(["TRUE OR n"] * 4_000),
        "+".join(["n"] * 4_000), "n" + " - 1" * 4_000, "n" + " = 1" * 4_000,
        "n" + " IN (1)" * 4_000, "n" + " LIKE 'a'" * 4_000,
        "n IN (" + ", ".join(map(str, range(4_000))) + ")",
        "CONCAT(" + ", ".join(["n"] * 4_000) + ")", "'" + "\\'" * 100_000 + "'",
        "type = '" + "a" * 100_000 + "'", " " * 100_000 + "n", "a" * 100_000, "0" * 100_000,
    ],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_long_expressions_need_no_deep_stack(text: str) -> None:
    expression = parse(text, max_length=10_000_000)
    deepest = sys.getrecursionlimit()
    sys.setrecursionlimit(_frames() + 80)
    try:
        expression = parse(text, max_length=10_000_000)
        expression.evaluate({"n": 5, "type": "a"})
        printed = str(expression)
        hash(expression)
        assert expression.required is not None
    finally:
        sys.setrecursionlimit(deepest)
    assert parse(printed, max_length=10_000_000) == expression


def _frames() -> int:
    frame, count = sys._getframe(), 0
    while frame is not None:
        frame, count = frame.f_back, count + 1  # type: ignore[assignment]
    return count


@pytest.mark.parametrize(
    "part", ["n = 5 AND ", "(n + 1) = 2 OR ", "NOT n LIKE 'a%' XOR ", "ABS(n) IN (1, 'a') OR "]
)
def test_the_steps_of_parsing_grow_with_the_length(part: str) -> None:
    short, long = (_calls(part * times + "TRUE") for times in (200, 2000))
    assert long < 10.5 * short


def _calls(text: str) -> int:
    """The calls of functions that it takes to parse and to print a text."""
    count = 0

    def counting(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    former = sys.getprofile()
    sys.setprofile(counting)
    try:
        str(parse(text, max_length=10_000_000))
    finally:
        sys.setprofile(former)
    return count


def test_the_longest_expression() -> None:
    assert parse("1" + " " * (MAX_LENGTH - 1)).evaluate({}) == (1, [])
    with pytest.raises(ParseError, match=f"longer than {MAX_LENGTH} characters"):
        parse("1" + " " * MAX_LENGTH)
    with pytest.raises(ParseError, match="surrogate"):
        parse("'\ud800'")


def test_cost_counts_what_functions_read() -> None:
    def cost(text: str) -> int:
        return parse(text).cost

    assert cost("type = 'a' AND n IN (1, 2)") == 0
    assert cost("type LIKE 'a%'") == 1
    assert cost("LOWER(type) = 'a'") < cost("LOWER(CONCAT(type, type)) = 'a'")
    assert cost("type LIKE '%a_b%'") > cost("type LIKE '%a%'")


def test_what_an_expression_says_of_itself() -> None:
    expression: Expression = parse("Type = 'a' and length(data) > 1 or nofunc(id, EXISTS x)")
    assert expression.text.startswith("Type")
    assert str(expression) == "Type = 'a' AND LENGTH(data) > 1 OR NOFUNC(id, EXISTS x)"
    assert repr(expression) == f"<Expression {expression}>"
    assert expression.attributes >= {"Type", "data"}
    assert expression.inaccessible == {"Type", "data"}
    assert expression.missing_functions == (("NOFUNC", 2),)
    assert expression != parse("TRUE")
    assert expression != 5
    assert (parse("1").type, parse("id").type) == (Type.INTEGER, None)
    assert parse("1") != parse("TRUE")
    assert sorted(CASTS) == sorted(Type)


def test_errors_of_the_parser_say_where_and_what() -> None:
    with pytest.raises(ParseError) as caught:
        parse("type = 'a'\n  AND subject ==")
    error = caught.value
    assert (error.line, error.column, error.position) == (2, 16, 26)
    assert error.reason.startswith(
        "expected a literal, an attribute, a function, NOT, '-' or '(', found '="
    )
    assert error.expected[0] == "a literal"
