"""Filters and expressions of webhooks and subscribers."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.cesql import ParseError, Type, parse
from event_gateway.config.request_bodies import InvalidBody, selection_from_json
from event_gateway.core.cesql.casts import is_value
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression
from event_gateway.core.matching.operators import ALL_OPERATORS, canonical
from event_gateway.core.matching.selection import Selection, compile_selection, selection_values
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.routing.explain import explain
from event_gateway.routing.index import Index
from fuzz.pieces import bytes_of, encoded, event_with
from support.generated_events import json_values

_fields = st.sampled_from(
    ["data.a", "data", "data.a[*].b", "data.a[0]", "data.a[", "source", "ext", "time", "id", "",
     'data["a"]', "data.namespace", "type", "data..a", "é"]
) | st.text(max_size=6)  # fmt: skip
_values = (
    json_values
    | st.sampled_from(["10.0.0.0/8", "::/0", "a", "^a+$", "(", "2026-01-01T00:00:00Z", [1, 2]])
    | st.lists(st.integers() | st.text(max_size=4), max_size=3)
)
_conditions = st.fixed_dictionaries(
    {"field": _fields, "operator": st.sampled_from([*ALL_OPERATORS, "like"])},
    optional={"value": _values},
)
_filters = st.recursive(
    _conditions | _conditions | json_values,
    lambda inner: st.dictionaries(
        st.sampled_from(["all", "any", "not"]), inner | st.lists(inner, max_size=3), max_size=2
    ),
    max_leaves=4,
)
_SQL = [
    b"type", b"source", b"ext", b"missing", b"data", b"=", b" AND ", b" OR ", b" XOR ", b"NOT ",
    b"'a'", b'"a"', b"'s'", b"5", b"-1", b"2147483648", b"(", b")", b",", b" LIKE '%_a%'",
    b" IN (", b"EXISTS ", b"+", b"-", b"*", b"/", b"%", b"<", b"<>", b"TRUE", b"LENGTH(",
    b"CONCAT(", b"SUBSTRING(", b"INT(", b"NOFUNC(", b"'", b"\\", b" ",
]  # fmt: skip
_texts = st.text(max_size=5)
_dialects = st.recursive(
    st.dictionaries(
        st.sampled_from(["exact", "prefix", "suffix", "sql", "x"]),
        st.dictionaries(st.sampled_from(["type", "source", "ext", "id", ""]), _texts, max_size=2)
        | _texts,
        max_size=2,
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(["all", "any", "not"]), inner | st.lists(inner, max_size=2), max_size=1
    ),
    max_leaves=3,
)
_in_sql = bytes_of(_SQL, 10).map(lambda raw: {"sql": raw.decode("utf-8", "replace")})
_selections = st.fixed_dictionaries(
    {},
    optional={
        "filters": st.lists(_filters, max_size=3) | json_values,
        "cloudevents_filters": st.lists(_dialects | _in_sql, max_size=2) | json_values,
        "namespaces": st.lists(_texts, max_size=2),
        "sources": st.lists(_texts, max_size=2),
        "expression": st.none() | st.sampled_from(["event.data.a == 1", "true", "event."]) | _texts,
    },
)
_data = json_values | st.fixed_dictionaries(
    {},
    optional={"a": json_values | st.lists(st.fixed_dictionaries({"b": json_values}), max_size=2)},
)
_events = st.builds(
    lambda source, data, ext: Received(
        event_with(data, source=source or "s", extensions=ext), "S", 9, 0.0
    ),
    _texts,
    _data.map(encoded) | st.binary(max_size=8),
    st.dictionaries(st.just("ext"), st.integers(0, 9) | st.booleans() | _texts, max_size=1),
)


@given(_selections, st.lists(_events, min_size=1, max_size=3))
def filters(body: dict[str, Any], events: list[Received]) -> None:
    """A selection is refused, or the index, the explanation and the predicate agree on events, and
    so they do after it was shown and read again."""
    try:
        selection = selection_from_json(body)
    except InvalidBody as error:
        assert error.problems
        return
    shown = msgspec.json.decode(msgspec.json.encode(selection_values(selection)))
    assert selection_from_json(shown) == selection
    webhook = Webhook(
        "w", "https://example.com/", ("a.>",), **{name: getattr(selection, name)
                                                  for name in Selection.__struct_fields__}
    )  # fmt: skip
    index = Index()
    index.put(webhook)
    for received in events:
        expected = explain(webhook, received) is None
        assert bool(index.match_safely(received)) == expected
        try:
            assert compile_selection(selection)(received) == expected
        except EvaluationError:
            assert not expected


_CEL = [
    b"event", b".data", b".a", b"[0]", b'["a"]', b"event.data.a", b" == ", b" > ", b" && ", b" || ",
    b"!", b"(", b")", b"1", b"1u", b"1.5", b'"a"', b"true", b"null", b" in ", b"[1, 2]", b"{", b"}",
    b"has(", b".all(x, ", b".exists(x, ", b".map(x, ", b"x", b".matches(", b".startsWith(",
    b".size()", b"size(", b" + ", b" * ", b" ? ", b" : ", b"timestamp(", b"duration(", b"-", b"%",
    b"event.type", b"event.source", b"event.ext", b"b'a'", b"\\",
]  # fmt: skip


@given(bytes_of(_CEL, 12).map(lambda raw: raw.decode("utf-8", "replace")), _events)
def expressions(text: str, received: Received) -> None:
    """An expression is refused, or it has a value, or a reason, for any event."""
    for condition in (True, False):
        try:
            expression = CelExpression(text, condition=condition)
        except ValueError as error:
            assert str(error)
            continue
        try:
            if condition:
                assert isinstance(expression.holds(received), bool)
            else:
                msgspec.json.encode(expression.value(received))
        except EvaluationError as error:
            assert error.kind
            assert error.message


@given(bytes_of(_SQL, 14).map(lambda raw: raw.decode("utf-8", "replace")), _events)
def cesql(text: str, received: Received) -> None:
    """A text is refused with its place, or it has a value and errors for any event, the same in its
    canonical form; and what an index requires of an event holds where it matches."""
    try:
        expression = parse(text)
    except ParseError as error:
        assert 0 <= error.position <= len(text)
        return
    attribute = received.event.attribute
    value, errors = expression.evaluate_with(attribute)
    assert is_value(value, Type.ANY)
    again, same = parse(str(expression)).evaluate_with(attribute)
    assert (again, [error.type for error in same]) == (value, [error.type for error in errors])
    _, first = expression.evaluate_with(attribute, fail_fast=True)
    assert first == errors[:1]
    if value is True and not errors:
        for name, values in expression.required:
            assert canonical(attribute(name)) in values
