"""Generated JSON Schemas for the data of events."""

from typing import Any

from hypothesis import strategies as st

# Each keyword on its own and among others.
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
    one = dict.fromkeys(
        ("not", "items", "additionalProperties", "propertyNames", "contains",
         "unevaluatedProperties", "unevaluatedItems"), inner,
    )  # fmt: skip
    keywords = one | {
        "properties": names, "patternProperties": names, "dependentSchemas": names,
        "allOf": several, "anyOf": several, "oneOf": several, "prefixItems": several,
    }  # fmt: skip
    return st.one_of(
        st.fixed_dictionaries({}, optional=keywords),
        st.fixed_dictionaries({"if": inner, "then": inner, "else": inner}),
        st.fixed_dictionaries({"properties": names, "type": st.just("object")}),
    )


schemas = st.recursive(leaves, _grown, max_leaves=6)
