"""JSON bodies are read strictly, values are bounded, and lists of mistakes are cut."""

import json
from typing import Any

import pytest

from event_gateway.config.problems import MAX_PROBLEMS, MAX_SUGGESTIONS
from event_gateway.config.request_bodies import (
    InvalidBody,
    selection_from_json,
    stream_from_json,
    webhook_from_json,
)
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.json_text import MalformedJson, read_json
from event_gateway.core.text.json_values import (
    MAX_ENTRIES,
    MAX_VALUES,
    check_bounds,
    check_plain,
)
from event_gateway.core.text.units import parse_duration, parse_size
from event_gateway.core.webhook.webhook import Webhook
from support.limited_work import limited_work

GOOD: dict[str, Any] = {"id": "w", "url": "https://example.com/", "events": ["a.b"]}


def registered(body: Any, former: Webhook | None = None) -> Webhook:
    return webhook_from_json(
        body, frozenset(("standard",)), 7 * 86400.0, lambda _url: None, former=former
    )


def mistakes(body: Any) -> InvalidBody:
    with pytest.raises(InvalidBody) as caught:
        registered(body)
    return caught.value


@pytest.mark.parametrize("text", [
    '{"id": 1, "id": 1}', '{"a": {"b": [{"id": 1, "id": 2}]}}', '[{"id": 1, "\\u0069d": 2}]',
])  # fmt: skip
def test_a_name_that_is_there_twice_is_refused_at_any_depth(text: str) -> None:
    with pytest.raises(InvalidDefinition, match="id: is there twice"):
        read_json(text.encode())


@pytest.mark.parametrize(("body", "says"), [
    (b'{"a": "\xff"}', "not UTF-8"), ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ('{"a": 1}'.encode("utf-32-le"), "not JSON"), (b"{", "not JSON"), (b"{'a': 1}", "not JSON"),
    (b"9" * 5000, "too many digits"), (b"-" + b"9" * 5000, "too many digits"),
    (b"[" * 200_000, "nested too deep"), (b'{"a":' * 200_000, "nested too deep"),
])  # fmt: skip
def test_what_is_not_json_says_why(body: bytes, says: str) -> None:
    with pytest.raises(MalformedJson, match=says):
        read_json(body)


def test_json_is_read() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": [1, "\xc3\xa9", null, 1.5]}') == {"a": [1, "é", None, 1.5]}


@pytest.mark.parametrize(("value", "key"), [
    ({"a": [0, {"b": float("nan")}]}, "a[1].b"), ({"a": 2**64}, "a"), ([1, -(2**63) - 1], "[1]"),
    ({"a": "\ud800"}, "a"), ({"b": {"\udfff": 1}}, "b"), ({"a": float("-inf")}, "a"),
])  # fmt: skip
def test_a_value_that_would_not_come_back_is_named(value: Any, key: str) -> None:
    with pytest.raises(InvalidDefinition) as caught:
        check_plain(value)
    assert caught.value.key == key


def test_a_long_name_costs_nothing_for_each_value_below_it() -> None:
    """Each of the 200,000 paths would be 500 KB long."""
    value = {"n" * 500_000: [0] * 200_000 + [2**64]}
    with limited_work(), pytest.raises(InvalidDefinition) as caught:
        check_plain(value)
    assert len(caught.value.key) == 200


def test_a_definition_is_bounded() -> None:
    check_bounds({"a": [0] * MAX_ENTRIES, "b": {"c": {str(n): n for n in range(MAX_ENTRIES)}}})
    for value, key in (
        ({"a": [0, [0] * (MAX_ENTRIES + 1)]}, "a[1]"),
        ({"a": {"b": {str(n): n for n in range(MAX_ENTRIES + 1)}}}, "a.b"),
        ({"a": [[0] * MAX_ENTRIES] * (MAX_VALUES // MAX_ENTRIES)}, ""),
    ):
        with pytest.raises(InvalidDefinition) as caught:
            check_bounds(value)
        assert caught.value.key == key


@pytest.mark.parametrize(("field", "value", "key"), [
    ("namespaces", [f"n{n}" for n in range(150_000)], "namespaces"),
    ("sources", ["s"] * 1001, "sources"), ("sources", ["s" * 4097], "sources[0]"),
    ("events", ["a.b"] * 101, "events"), ("events", [7] * 1000, "events.0"),
    ("filters", [{"field": "data.x", "operator": "exists"}] * 51, "filters"),
    ("filters", [{"all": [{"field": "data.x", "operator": "exists"}] * 201}], "filters"),
    ("filters", [{"field": "data.x", "operator": "in", "value": [1] * 1001}], "filters[0].value"),
    ("filters", [{"field": "data.x", "operator": "equals", "value": [1] * 1001}],
     "filters[0].value"),
    ("filters", [{"field": "data.x", "operator": "contains", "value": {"a": [1] * 1001}}],
     "filters[0].value.a"),
    ("cloudevents_filters", [{"exact": {"type": "a"}}] * 51, "cloudevents_filters"),
    ("headers", {f"X-{n}": "v" for n in range(33)}, "headers"),
    ("metadata", {"a": "m" * 65_536}, "metadata"),
    ("metadata", {"a": [1] * 1001}, "metadata.a"),
    ("description", "d" * 1001, "description"), ("expression", "true || " * 1000 + "true",
                                                 "expression"),
    ("security", [{"auth_type": "bearer_token", "secret_name": "s"}] * 9, "security"),
    ("retry_policy", {"schedule": ["1s"] * 101}, "retry_policy.schedule"),
    ("url", "https://example.com/" + "p" * 2048, "url"),
])  # fmt: skip
def test_every_list_of_a_webhook_has_a_bound(field: str, value: Any, key: str) -> None:
    problems = mistakes(GOOD | {field: value}).problems
    assert key in [found for found, _ in problems], problems


def test_a_stored_webhook_over_a_bound_can_be_changed() -> None:
    """Such as one of a version without the bound: it is paused as it is."""
    stored = registered(GOOD)
    over = {"namespaces": [f"n{n}" for n in range(3000)], "headers": {"Content_Length": "1"},
            "metadata": {"a": "m" * 70_000}}  # fmt: skip
    with pytest.raises(InvalidBody):
        registered(GOOD | over)
    former = type(stored)(
        **{name: getattr(stored, name) for name in stored.__struct_fields__}
        | {"namespaces": tuple(over["namespaces"]), "headers": over["headers"],
           "metadata": over["metadata"]}
    )  # fmt: skip
    paused = registered(GOOD | over | {"enabled": False}, former)
    assert (paused.enabled, len(paused.namespaces)) == (False, 3000)
    with pytest.raises(InvalidBody, match="concurrency"):
        registered(GOOD | over | {"concurrency": 0}, former)


def test_lists_of_mistakes_are_cut_and_only_the_first_get_a_suggestion() -> None:
    found = mistakes(GOOD | {f"timeou{n}": 1 for n in range(900)})
    assert (len(found.problems), found.more) == (MAX_PROBLEMS, 900 - MAX_PROBLEMS)
    suggestions = [reason for _, reason in found.problems if "did you mean timeout?" in reason]
    assert len(suggestions) == MAX_SUGGESTIONS
    assert str(found).endswith("; and 890 more")
    assert len(str(found)) < 2000


@pytest.mark.parametrize("filters", [
    [{}] * 1000, [{"all": [{}] * 900}] * 50, [{"any": [{"all": [{}] * 40}] * 30}] * 30,
    [{"not": {"not": {"all": [7] * 900}}}] * 50,
])  # fmt: skip
def test_mistakes_in_many_groups_take_no_time(filters: list[Any]) -> None:
    with limited_work():
        found = mistakes(GOOD | {"filters": filters})
    assert len(json.dumps(found.problems)) < 100_000
    with pytest.raises(InvalidBody) as caught:
        selection_from_json({"filters": filters})
    assert len(str(caught.value)) < 10_000


def test_what_a_client_has_written_is_repeated_in_part() -> None:
    found = mistakes(GOOD | {"id": "x" * 900_000, "y\n" * 300_000: 1})
    assert len(str(found)) < 2000
    assert "\n" not in str(found)


@pytest.mark.parametrize("text", ["9" * 400 + "GiB", "9" * 5000, "1" + " " * 70 + "MiB"])
def test_no_size_overflows(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 64"):
        parse_size(text)
    with pytest.raises(InvalidBody, match="max_bytes"):
        stream_from_json({"name": "s", "subjects": ["a.>"], "max_bytes": text})
    with pytest.raises(ValueError, match="longer than 64"):
        parse_duration("9" * 400 + "s")
