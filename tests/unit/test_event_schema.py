"""Schemas of event data: which are accepted, and the location of invalid data."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.event_schema import EventSchema
from event_gateway.core.schema.event_type import EventType, to_json
from support.event_schemas import REFUSED, schemas
from support.examples import examples
from support.limited_work import limited_work

# Each level has two alternatives that both check the level below.
TWOFOLD = {
    "$ref": "#/$defs/n",
    "$defs": {"n": {"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/n"}, "minItems": 0},
        {"type": "array", "items": {"$ref": "#/$defs/n"}, "maxItems": 9},
    ]}},
}  # fmt: skip


def nested(depth: int, leaf: Any = "x", key: str | None = None) -> Any:
    """Nested lists or objects."""
    for _ in range(depth):
        leaf = [leaf] if key is None else {key: leaf}
    return leaf


def refusal(schema: Any) -> InvalidDefinition:
    """The problems of a schema."""
    (problem,) = EventType("user.made", schema=to_json(schema, "schema")).problems()
    return problem


@pytest.mark.parametrize(
    ("schema", "key", "message"), REFUSED, ids=[str(item[0])[:40] for item in REFUSED]
)
def test_an_unusable_schema_is_refused_with_the_pointer(
    schema: Any, key: str, message: str
) -> None:
    if isinstance(schema, dict) and schema.get("const") == float("inf"):
        with pytest.raises(InvalidDefinition, match=message):
            EventSchema(schema)
        return
    with limited_work():
        problem = refusal(schema)
    assert problem.key.startswith(key)
    assert message in problem.detail


def test_a_deep_schema_is_refused() -> None:
    for depth, key in ((100, "not"), (900, "not"), (900, "const")):
        assert "nested deeper" in refusal(nested(depth, {}, key)).detail


def test_the_other_keys_of_a_type_are_checked() -> None:
    schema = to_json({"type": "integer", "pattern": "x"}, "schema")
    for wrong, key in (
        (EventType(""), "type"),
        (EventType("x" * 256), "type"),
        (EventType("user.*"), "type"),
        (EventType("user.>"), "type"),
        (EventType(".."), "type"),
        (EventType("a\nb"), "type"),
        (EventType("webhook.made"), "type"),
        (EventType("$x"), "type"),
        (EventType("a", description="x" * 5000), "description"),
        (EventType("a", owner="x\ny"), "owner"),
        (EventType("a", dataschema="relative"), "dataschema"),
        (EventType("a", enforce="maybe"), "enforce"),
        (EventType("a", schema=schema, examples=(to_json("no", "e"),)), "examples[0]"),
        (
            EventType("a", schema=schema, examples=(to_json(1, "e"), to_json(1.5, "e"))),
            "examples[1]",
        ),
        (EventType("a", examples=(to_json(1, "e"),) * 21), "examples"),
    ):
        with pytest.raises(InvalidDefinition) as refused:
            wrong.check()
        assert refused.value.key == key, wrong


def test_hostile_patterns_and_data_take_little_time() -> None:
    for schema, value in (
        ({"pattern": "^(a+)+$"}, "a" * 1_000_000 + "b"),
        (TWOFOLD, nested(900)),
        ({"type": "array", "items": {"$ref": "#"}, "allOf": [{"items": {"$ref": "#"}}]},
         nested(900)),
        ({"uniqueItems": True, "items": {"type": "object"}}, [{"n": n} for n in range(90_000)]),
        ({"format": "regex"}, r"(\w{1000}){1000}" * 1000),
        ({"additionalProperties": False}, {str(n): n for n in range(80_000)}),
    ):  # fmt: skip
        compiled = EventSchema(schema)
        size = len(json.dumps(value))
        with limited_work(schema):
            compiled.violation(value, size)


def test_data_that_is_too_large_to_check_is_not_valid() -> None:
    costly = EventSchema({"patternProperties": {f"^x.*{n}y+$": True for n in range(2000)}})
    value = {f"k{n}": n for n in range(60_000)}
    size = len(json.dumps(value))
    result = costly.violation(value, size)
    assert result is not None
    assert "more than can be checked: with this schema at most" in result.detail
    assert costly.violation({"k": 1}, 8) is None


# Schemas with keywords alone and combined.


values = st.recursive(
    st.sampled_from([None, True, 0, 1, 2.5, "", "a", "ab"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "~/", "ab"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=examples(400))
@given(schemas, schemas, values)
def test_the_result_is_that_of_the_reference_implementation_and_the_path_exists(
    schema: Any, definition: Any, value: Any
) -> None:
    if isinstance(schema, dict):
        schema = schema | {"$defs": {"d": definition}}
    else:
        schema = {"allOf": [schema], "$defs": {"d": definition}}
    compiled = EventSchema(schema)
    result = compiled.violation(value, 100)
    try:
        expected = jsonschema.Draft202012Validator(schema).is_valid(value)
    except BaseException as error:
        # A schema that refers to itself; the depth may be reached in Rust code, which panics then.
        if isinstance(error, RecursionError) or type(error).__name__ == "PanicException":
            return
        raise
    assert (result is None) == expected
    if result is not None:
        at = value
        for part in result.path.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            at = at[int(name)] if isinstance(at, list) else at[name]
        assert result.detail


@pytest.mark.parametrize(
    ("schema", "value", "path"),
    [
        ({"properties": {"a": {"items": {"type": "integer"}}}}, {"a": [1, "x"]}, "/a/1"),
        ({"properties": {"a/b~": {"type": "null"}}}, {"a/b~": 1}, "/a~1b~0"),
        ({"allOf": [{"properties": {"a": {"$ref": "#/$defs/s"}}}],
          "$defs": {"s": {"maxLength": 1}}}, {"a": "xx"}, "/a"),
        ({"if": {"required": ["a"]}, "then": {"properties": {"a": {"const": 1}}}}, {"a": 2}, "/a"),
        ({"prefixItems": [{"type": "integer"}], "items": False}, [1, 2], "/1"),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1, "b": 1}, "/b"),
        ({"patternProperties": {"^x": {"minimum": 1}}}, {"xa": 0}, "/xa"),
        ({"$dynamicAnchor": "n", "properties": {"n": {"$dynamicRef": "#n"}, "v": {"type": "null"}}},
         {"n": {"n": {"v": 1}}}, "/n/n/v"),
        ({"$id": "https://example.com/s", "properties": {"a": {"$ref": "#x"}},
          "$defs": {"x": {"$anchor": "x", "format": "email"}}}, {"a": "no"}, "/a"),
        ({"properties": {"a": {"anyOf": [{"type": "null"}, {"minimum": 1}]}}}, {"a": 0}, "/a"),
    ],
)  # fmt: skip
def test_the_path_is_that_of_the_invalid_value(schema: Any, value: Any, path: str) -> None:
    result = EventSchema(schema).violation(value, 100)
    assert result is not None
    assert result.path == path


def test_the_detail_contains_nothing_of_the_data() -> None:
    secret = "s3cr3t-\n-value"
    for schema in ({"type": "integer"}, {"enum": [1]}, {"const": {"a": 1}}, {"pattern": "^x$"},
                   {"format": "uuid"}, {"maxLength": 1}, {"not": {}}, {"anyOf": [{"type": "null"}]},
                   False):  # fmt: skip
        result = EventSchema({"properties": {"a": schema}}).violation({"a": secret}, 100)
        assert result is not None
        assert "s3cr3t" not in result.detail
        assert result.detail.isprintable()


def test_equal_types_are_the_same() -> None:
    first = EventType("a", schema=msgspec.Raw(b'{"type":"object","required":["a"]}'))
    other = EventType("a", schema=msgspec.Raw(b'{"required": ["a"], "type": "object"}'))
    assert first.same(msgspec.structs.replace(other, created_at=1.0))
    assert not first.same(EventType("a", schema=msgspec.Raw(b'{"type":"object"}')))
    assert not first.same(msgspec.structs.replace(other, enforce="off"))
