"""Filters, groups and paths: which events match, and which filters are refused."""

import json
from typing import Any

import msgspec
import pytest

from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.dialects import filter_of
from event_gateway.core.matching.filter import Filter, check_filter, compile_filter
from event_gateway.core.matching.path import path_of
from event_gateway.core.matching.selection import Selection, selection_problems
from support.limited_work import limited_work

DATA = {
    "namespace": "customer",
    "changes": {"insertions": 120, "branch": "main", "document_changes": [
        {"operation": "create", "paths": ["/a"]}, {"operation": "delete", "paths": ["/b", "/c"]},
    ]},
    "ip": "10.1.2.3", "mapped": "::ffff:10.1.2.3", "v6": "2001:db8::1", "none": None, "yes": True,
    "one": 1, "pi": 3.5, "at": "2026-05-04T03:02:01.5+02:00", "tags": ["red", 7, None],
    "a.b": {"c'd": 1}, "text": "", "big": 2**63, "0": "zero",
}  # fmt: skip


def of(
    data: Any = DATA, kind: DataKind = DataKind.JSON, raw: bytes | None = None, **extensions: Any
) -> Received:
    body = json.dumps(data).encode() if raw is None else raw
    event = Event("7", "data-east", "terminus.commit.created", "graph/9", "2026-05-04T01:00:00Z",
                  "application/json", None, extensions, body, kind)  # fmt: skip
    return Received(event, "S", 1, 0.0)


E = of(sequence="0009", priority=5, urgent=True)
GONE = msgspec.UNSET

CASES: list[tuple[str, str, Any, bool]] = [
    ("data.namespace", "equals", "customer", True),
    ("data.namespace", "equals", "Customer", False),
    ("data.namespace", "not_equals", "customer", False),
    ("data.nothing", "equals", None, False),
    ("data.nothing", "not_equals", "x", True),
    ("data.none", "equals", None, True),
    ("data.none", "exists", GONE, True),
    ("data.nothing", "exists", True, False),
    ("data.nothing", "exists", False, True),
    ("data.yes", "equals", 1, False),
    ("data.yes", "equals", True, True),
    ("data.one", "equals", True, False),
    ("data.one", "equals", 1.0, True),
    ("data.tags", "equals", ["red", 7, None], True),
    ("data.namespace", "in", ["x", "customer"], True),
    ("data.namespace", "not_in", ["x", "customer"], False),
    ("data.nothing", "not_in", ["x"], True),
    ("data.nothing", "in", ["x"], False),
    ("data.tags", "contains", 7, True),
    ("data.tags", "contains", True, False),
    ("data.namespace", "contains", "tom", True),
    ("data.one", "contains", 1, False),
    ("data.changes.branch", "prefix", "ma", True),
    ("data.one", "prefix", "1", False),
    ("type", "suffix", ".created", True),
    ("subject", "matches", "^graph/[0-9]+$", True),
    ("subject", "matches", "raph", True),
    ("data.one", "matches", "1", False),
    ("data.changes.insertions", "gt", 100, True),
    ("data.changes.insertions", "gt", 120, False),
    ("data.changes.insertions", "gte", 120, True),
    ("data.changes.insertions", "lt", 120.5, True),
    ("data.changes.insertions", "lte", 119, False),
    ("data.changes.insertions", "gt", "100", False),
    ("data.yes", "gt", 0, False),
    ("data.namespace", "gt", "bustomer", True),
    ("data.at", "gt", "2026-05-04T01:02:01.4Z", True),
    ("data.at", "lt", "2026-05-04T01:02:01.51Z", True),
    ("data.at", "between", ["2026-05-04T01:02:01.5Z", "2026-05-04T01:02:01.5Z"], True),
    ("data.namespace", "gt", "2026-05-04T01:02:01Z", False),
    ("time", "gte", "2026-05-04T03:00:00+02:00", True),
    ("time", "lt", "2026-05-04T01:00:00.000000001Z", True),
    ("data.pi", "between", [3, 4], True),
    ("data.pi", "between", [3.6, 4], False),
    ("data.big", "gt", 2**62, True),
    ("data.ip", "cidr", "10.0.0.0/8", True),
    ("data.ip", "cidr", ["192.168.0.0/16", "10.1.2.3/32"], True),
    ("data.mapped", "cidr", "10.0.0.0/8", True),
    ("data.v6", "cidr", "2001:db8::/32", True),
    ("data.v6", "cidr", "10.0.0.0/8", False),
    ("data.one", "cidr", "0.0.0.0/0", False),
    ("data.namespace", "cidr", "0.0.0.0/0", False),
    # Paths.
    ("data.changes.document_changes[0].operation", "equals", "create", True),
    ("data.changes.document_changes.1.operation", "equals", "delete", True),
    ("data.changes.document_changes[2].operation", "exists", GONE, False),
    ("data.changes.document_changes[*].operation", "equals", "delete", True),
    ("data.changes.document_changes[*].operation", "equals", "update", False),
    ("data.changes.document_changes[*].operation", "not_equals", "delete", False),
    ("data.changes.document_changes[*].operation", "not_equals", "update", True),
    ("data.changes.document_changes[*].paths[*]", "equals", "/c", True),
    ("data.changes.document_changes[*].nothing", "exists", GONE, False),
    ("data.changes.document_changes[*].nothing", "exists", False, True),
    ("data.changes.branch[*]", "equals", "main", False),
    ('data["a.b"]["c\'d"]', "equals", 1, True),
    ("data['a.b']", "exists", GONE, True),
    ("data.0", "equals", "zero", True),
    ("data[0]", "exists", GONE, False),
    ("data", "exists", GONE, True),
    # Attributes match in every mode: binary mode writes 5 and true as text.
    ("priority", "equals", 5, True),
    ("priority", "equals", "5", True),
    ("priority", "in", ["5"], True),
    ("priority", "gt", 4, True),
    ("priority", "lt", "6", True),
    ("urgent", "equals", True, True),
    ("urgent", "equals", "true", True),
    ("sequence", "gt", "0008", True),
    ("sequence", "gt", 8, True),
    ("source", "gt", 8, False),
    ("source", "prefix", "data-", True),
    ("specversion", "equals", "1.0", True),
    ("correlationid", "exists", GONE, False),
]


@pytest.mark.parametrize(("field", "operator", "value", "passes"), CASES)
def test_conditions(field: str, operator: str, value: Any, passes: bool) -> None:
    first = Filter(field, operator, value)
    assert check_filter(first, "filters[0]") == 1
    assert compile_filter(first)(E) is passes
    assert compile_filter(Filter(not_=first))(E) is not passes
    # As decoded from the registry.
    again = msgspec.json.decode(msgspec.json.encode(first), type=Filter)
    assert compile_filter(again)(E) is passes


def test_numbers_as_text_in_binary_mode_match() -> None:
    binary = of(sequence="0009", priority="5", urgent="true")
    for field, operator, value, passes in CASES:
        if field in ("priority", "urgent", "sequence"):
            assert compile_filter(Filter(field, operator, value))(binary) is passes


def test_groups() -> None:
    yes, no = Filter("data.one", "equals", 1), Filter("data.one", "equals", 2)
    for item, passes in (
        (Filter(all=(yes, yes)), True),
        (Filter(all=(yes, no)), False),
        (Filter(any=(no, yes)), True),
        (Filter(any=(no, no)), False),
        (Filter(not_=no), True),
        (Filter(any=(no, Filter(all=(yes, Filter(not_=no))))), True),
    ):
        assert compile_filter(item)(E) is passes
    assert check_filter(Filter(any=(no, Filter(all=(yes, Filter(not_=no))))), "f") == 3


@pytest.mark.parametrize(
    ("received", "field", "passes"),
    [
        (of(kind=DataKind.TEXT, raw=b"an error"), "data", True),
        (of(kind=DataKind.BINARY, raw=b"an error"), "data", False),
        (of(kind=DataKind.NONE, raw=b""), "data", False),
        (of("an error"), "data", True),
        (of(["error"]), "data[0]", True),
        (of(raw=b'{"a":' * 5000 + b'"error"' + b"}" * 5000), "data.a", False),
        (of(raw=b'{"a":"\\ud800 error"}'), "data.a", True),
        (of(raw=b'{"a":1e999,"b":"error"}'), "data.b", True),
        (of(raw=b'{"a":"x","a":"error"}'), "data.a", True),
    ],
    ids=str,
)
def test_payloads_of_every_kind(received: Received, field: str, passes: bool) -> None:
    assert compile_filter(Filter(field, "contains", "error"))(received) is passes
    for operator, value in (("matches", "error"), ("prefix", "x"), ("gt", 5), ("gt", "x"),
                            ("cidr", "10.0.0.0/8"), ("between", [1, 2])):  # fmt: skip
        compile_filter(Filter(field, operator, value))(received)


@pytest.mark.parametrize("pattern", ["(a|b)*a(a|b){200}c", "a.{900}c$", "(.{0,900}x){1}y"])
def test_the_cost_of_a_search_is_limited(pattern: str) -> None:
    first = compile_filter(Filter("data.s", "matches", pattern))
    # Without a limit 1 MB takes 5 to 28 seconds.
    with limited_work():
        assert not first(of({"s": "ab" * 5_000_000}))


def test_the_number_of_values_of_a_path_is_limited() -> None:
    rows = [[[1] * 100] * 100] * 100
    assert len(path_of("data[*][*][*]").values(of(rows))) == 10_000


REFUSED: list[tuple[Any, str, str]] = [
    (Filter("", "equals", 1), "f.field", "is an attribute"),
    (Filter("Data.x", "equals", 1), "f.field", "is an attribute"),
    (Filter("a.b", "equals", 1), "f.field", "is an attribute"),
    (Filter("data..x", "equals", 1), "f.field", "is not a path"),
    (Filter("data.", "equals", 1), "f.field", "is not a path"),
    (Filter("data[", "equals", 1), "f.field", "is not a path"),
    (Filter("data[-1]", "equals", 1), "f.field", "is not a path"),
    (Filter("data[x]", "equals", 1), "f.field", "is not a path"),
    (Filter("data." + "a." * 130, "equals", 1), "f.field", "at most 256"),
    (Filter("data" + "[*]" * 4, "equals", 1), "f.field", "3 of them"),
    (Filter("data.x", "like", 1), "f.operator", "'like' is unknown"),
    (Filter("data.x", "equals"), "f.value", "needs a value"),
    (Filter("data.x", "in", "x"), "f.value", "a list of values"),
    (Filter("data.x", "in", [1] * 1001), "f.value", "at most 1000"),
    (Filter("data.x", "prefix", 1), "f.value", "a non-empty string"),
    (Filter("data.x", "suffix", ""), "f.value", "non-empty"),
    (Filter("data.x", "matches", "(a"), "f.value", "missing )"),
    (Filter("data.x", "matches", r"(a)\1"), "f.value", "not a regular expression"),
    (Filter("data.x", "matches", "(?=a)"), "f.value", "not a regular expression"),
    (Filter("data.x", "matches", "(((a{100}){100}){100})"), "f.value", "not a regular expression"),
    (Filter("data.x", "matches", "\ud800"), "f.value", "not a character"),
    (Filter("data.x", "matches", "a" * 1025), "f.value", "at most 1024"),
    (Filter("data.x", "gt", True), "f.value", "a number, a time or a string"),
    (Filter("data.x", "lte", [1]), "f.value", "a number, a time or a string"),
    (Filter("data.x", "between", [1]), "f.value", "a list of two"),
    (Filter("data.x", "between", [2, 1]), "f.value", "least value first"),
    (Filter("data.x", "between", [1, "2"]), "f.value", "same type"),
    (Filter("data.x", "between", ["a", "2026-01-01T00:00:00Z"]), "f.value", "same type"),
    (Filter("data.x", "cidr", "10.0.0.1/8"), "f.value", "host bits"),
    (Filter("data.x", "cidr", "x"), "f.value", "a network"),
    (Filter("data.x", "cidr", []), "f.value", "networks"),
    (Filter("data.x", "exists", "yes"), "f.value", "true or false"),
    (Filter("data.x", "equals", "x" * 4097), "f.value", "4096"),
    (Filter(all=()), "f.all", "no filter"),
    (Filter("data.x", "equals", 1, not_=Filter("id", "exists")), "f", "either"),
    (Filter(any=(Filter("id", "exists"), Filter("data.x", "no", 1))), "f.any[1].operator", "no"),
    (Filter(not_=Filter("data.x", "no", 1)), "f.not.operator", "unknown"),
]


@pytest.mark.parametrize(("invalid", "key", "message"), REFUSED)
def test_invalid_filters_are_refused(invalid: Filter, key: str, message: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        check_filter(invalid, "f")
    assert caught.value.key == key
    assert message in caught.value.detail


def test_groups_are_limited() -> None:
    deep = Filter("id", "exists")
    for _ in range(9):
        deep = Filter(not_=deep)
    with pytest.raises(InvalidDefinition, match="more than 8 deep"):
        check_filter(deep, "f")
    many = Filter(any=(Filter("id", "exists"),) * 41)
    (problem,) = selection_problems(Selection(filters=(many,) * 5))
    assert "at most 200 conditions" in str(problem)
    assert [
        str(selection_problem)
        for selection_problem in selection_problems(
            Selection(filters=(Filter("id", "exists"),) * 51)
        )
    ]


DIALECTS: list[tuple[Any, bool]] = [
    ({"exact": {"type": "terminus.commit.created", "source": "data-east"}}, True),
    ({"exact": {"type": "terminus.commit.created", "source": "data-west"}}, False),
    ({"exact": {"priority": "5"}}, True),
    ({"exact": {"nothing": "5"}}, False),
    ({"prefix": {"type": "terminus."}}, True),
    ({"suffix": {"subject": "/9"}}, True),
    ({"suffix": {"subject": "/8"}}, False),
    ({"all": [{"prefix": {"type": "t"}}, {"suffix": {"type": "d"}}]}, True),
    ({"any": [{"prefix": {"type": "x"}}, {"suffix": {"type": "d"}}]}, True),
    ({"any": [{"prefix": {"type": "x"}}]}, False),
    ({"not": {"exact": {"nothing": "x"}}}, True),
    ({"not": {"not": {"exact": {"id": "7"}}}}, True),
    ({"sql": "type = 'terminus.commit.created' AND priority > 4"}, True),
    ({"sql": "priority > 5"}, False),
    ({"sql": "nothing = ''"}, False),
    ({"sql": "nothing = '' OR TRUE"}, False),
    ({"sql": "'true'"}, False),
    ({"sql": "NOT EXISTS nothing"}, True),
    ({"not": {"sql": "nothing = ''"}}, True),
    ({"any": [{"sql": "priority / 0 = 0"}, {"sql": "subject LIKE '%/9'"}]}, True),
]


@pytest.mark.parametrize(("dialect", "passes"), DIALECTS)
def test_dialects(dialect: Any, passes: bool) -> None:
    assert compile_filter(filter_of(dialect, "f"))(E) is passes


@pytest.mark.parametrize(
    ("dialect", "key"),
    [
        ({"sql": "type = "}, "f.sql"),
        ({"sql": {"type": "a"}}, "f.sql"),
        ({"sql": "'" + "a" * 16_384 + "'"}, "f.sql"),
        ({"not": {"sql": ""}}, "f.not.sql"),
        ({"like": {"type": "x"}}, "f.like"),
        ({}, "f"),
        ({"exact": {"type": "a"}, "prefix": {"type": "a"}}, "f"),
        ({"exact": {}}, "f.exact"),
        ({"exact": {"type": ""}}, "f.exact.type"),
        ({"exact": {"type": 1}}, "f.exact.type"),
        ({"exact": {"data.x": "1"}}, "f.exact.data.x"),
        ({"exact": {"Type": "1"}}, "f.exact.Type"),
        ({"all": []}, "f.all"),
        ({"any": [{"exact": {"type": "x"}}, {"no": 1}]}, "f.any[1].no"),
        ({"not": []}, "f.not"),
    ],
)  # fmt: skip
def test_dialects_that_are_refused(dialect: Any, key: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        filter_of(dialect, "f")
    assert caught.value.key == key
