"""JSON Schemas for the data of events: generated ones, and those that the gateway refuses."""

from typing import Any

from hypothesis import strategies as st

from event_gateway.core.schema.bounds import MAX_SUBSCHEMAS

# Keywords alone and combined with others.
leaves: Any = st.one_of(
    st.booleans(),
    st.sampled_from([
        {}, {"type": "integer"}, {"type": ["string", "null"]}, {"minimum": 2}, {"maxLength": 1},
        {"enum": [1, "a", None, [], {}]}, {"const": {"a": 1}}, {"pattern": "^a"},
        {"required": ["a"]}, {"minProperties": 1}, {"uniqueItems": True}, {"maxItems": 1},
        {"$ref": "#"}, {"$ref": "#/$defs/d"}, {"dependentRequired": {"a": ["b"]}},
    ]),
)  # fmt: skip


def _grown(inner: Any) -> Any:
    names = st.dictionaries(st.sampled_from(["a", "b", "~/"]), inner, max_size=2)
    several = st.lists(inner, min_size=1, max_size=2)
    applied = dict.fromkeys(
        ("not", "items", "additionalProperties", "propertyNames", "contains",
         "unevaluatedProperties", "unevaluatedItems"), inner,
    )  # fmt: skip
    keywords = applied | {
        "properties": names, "patternProperties": names, "dependentSchemas": names,
        "allOf": several, "anyOf": several, "oneOf": several, "prefixItems": several,
    }  # fmt: skip
    return st.one_of(
        st.fixed_dictionaries({}, optional=keywords),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"properties": names, "type": st.just("object")}),
    )


schemas = st.recursive(leaves, _grown, max_leaves=6)

BOMB = {
    "$ref": "#/$defs/a0",
    "$defs": {
        **{f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)},
        "a40": {"type": "string"},
    },
}
# The schema, the key in the error, and a part of the error's text.
REFUSED: list[tuple[Any, str, str]] = [
    ({"$ref": "https://example.com/s.json"}, "schema/$ref", "nothing is ever fetched"),
    ({"properties": {"a/b": {"$ref": "file:///etc/passwd"}}},
     "schema/properties/a~1b/$ref", "nothing is ever fetched"),
    ({"items": {"$dynamicRef": "other.json#x"}}, "schema/items/$dynamicRef", "ever fetched"),
    ({"$ref": "#/$defs/none"}, "schema/$ref", "names no schema within"),
    ({"$ref": "#none"}, "schema/$ref", "names no schema within"),
    ({"$ref": "#/enum/0", "enum": [{}]}, "schema/$ref", "names no schema within"),
    ({"$ref": 7}, "schema/$ref", "must be a string"),
    ({"$defs": {"x": {"$id": "https://example.com/x"}}}, "schema/$defs/x/$id", "whole schema"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema/$schema", "2020-12"),
    ({"$defs": {"x": {"$anchor": "a"}, "y": {"$anchor": "a"}}}, "schema/$defs/y/$anchor", "twice"),
    ({"$vocabulary": {}}, "schema/$vocabulary", "is not supported"),
    ({"type": "strange"}, "schema/type", "not valid"),
    ({"properties": []}, "schema/properties", "object of schemas"),
    ({"allOf": [1]}, "schema/allOf/0", "an object, true or false"),
    ({"items": [{"type": "string"}]}, "schema/items", "an object, true or false"),
    ({"minLength": -1}, "schema/minLength", "minimum"),
    ({"pattern": "(?=a)b"}, "schema/pattern", "look-around"),
    ({"pattern": r"(a)\1"}, "schema/pattern", "back-references"),
    ({"patternProperties": {"(": {}}}, "schema/patternProperties/(", "regex"),
    ({"pattern": "[ab]*a[ab]{100000}"}, "schema", "costs more than"),
    ({"pattern": "(((a{99}){99}){99}){99}"}, "schema", "too large ones"),
    ({"pattern": "a{99999999999999999999}"}, "schema", "too large ones"),
    ({"pattern": "a{" + "9" * 5000 + "}"}, "schema", "too large ones"),
    ({"properties": {f"x{n}": {"pattern": r"^\p{L}{20}$"} for n in range(300)}}, "schema",
     "too many patterns"),
    (BOMB, "schema", "costs more than"),
    ({"patternProperties": {f"x{n}": True for n in range(9000)}}, "schema", "costs more than"),
    ({"properties": {f"x{n}": {} for n in range(MAX_SUBSCHEMAS)}}, "schema", "more than 10000"),
    ({"const": float("inf")}, "schema", "JSON does not have"),
    ({"description": "x" * 300_000}, "schema", "larger than"),
    (7, "schema", "an object, true or false"),
]  # fmt: skip
