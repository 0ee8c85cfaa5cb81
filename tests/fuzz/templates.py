"""Templates of users."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import MAX_OUTPUT, TransformationError
from event_gateway.core.transformation.template import compile_template
from fuzz.pieces import encoded, event_with
from support.generated_events import json_values

_EXPRESSIONS = [
    "{{", "}}", " ", "data", "data.a", "data.a[*].b", "data[0]", "id", "time", "omit", "ext", "??",
    "|", "json", "string", "number", "urlencode", "required", '"x"', "1.5", "[]", "{}", "null",
    "true", "'", '"', "\\", ".", "[", "]", "*", "é", "\ud7ff", "item", "item.b",
]  # fmt: skip
_texts = st.lists(
    st.sampled_from(_EXPRESSIONS) | st.text(max_size=3), max_size=9
).map("".join)  # fmt: skip
_placeholders = _texts.map(lambda text: "{{ " + text + " }}")
_leaves = (
    _texts
    | _placeholders
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
_keys = st.sampled_from(["$each", "$do", "a", "b", "$x", ""]) | _texts
templates = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=8,
)
_data = json_values | st.fixed_dictionaries(
    {},
    optional={"a": json_values | st.lists(st.fixed_dictionaries({"b": json_values}), max_size=3)},
)
_content_types = st.sampled_from([None, None, "application/json", "text/plain", "text/xml"])


@given(templates, _data.map(encoded) | st.binary(max_size=8), _content_types)
def any_template(template: Any, data: bytes, content_type: str | None) -> None:
    """A template is refused, or it gives bounded bytes, or a reason, for any event."""
    try:
        transform = compile_template(template, content_type)
    except InvalidDefinition as error:
        assert error.detail
        return
    try:
        media_type, body = transform(event_with(data, extensions={"ext": 1}), 0.0)
    except TransformationError as error:
        assert str(error)
        return
    assert media_type
    assert len(body) <= MAX_OUTPUT
