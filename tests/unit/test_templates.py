"""Templates: values by path with their types, and nothing executable."""

import json
import re
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import (
    MAX_OUTPUT,
    TransformationError,
    content_type_problems,
)
from event_gateway.core.transformation.template import MAX_DEPTH, MAX_TEMPLATE, compile_template
from support.limited_work import limited_work

DATA = {
    "user": {"id": 7, "name": "Ann", "admin": True, "none": None},
    "items": [{"sku": "a", "n": 1}, {"sku": "b"}, "odd"],
    "nested": [{"in": [1, 2]}, {"in": [3]}],
    "price": "12.50", "weird key": 1, "a{}": 2,
}  # fmt: skip


def of(data: Any = DATA, **more: Any) -> Event:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    kind = more.pop("kind", DataKind.JSON)
    return Event("1", "shop", "order.placed", "o/7", extensions={"tenant": "acme", "n": 3},
                 data=raw, kind=kind, **more)  # fmt: skip


def rendered(template: Any, event: Event | None = None) -> Any:
    content_type, body = compile_template(template, None)(event or of(), 0.0)
    assert content_type == b"application/json"
    return json.loads(body)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ data.user.id }}", 7), ("{{data.user}}", DATA["user"]), ("{{ data }}", DATA),
        ("{{ data.user.admin }}", True), (" {{ data.user.id }}", " 7"),
        ("{{ id }}/{{ tenant }}/{{ n }}", "1/acme/3"), ("{{ n }}", 3), ("{{ specversion }}", "1.0"),
        ("{{ time }}", None), ("{{ nosuch }}", None), ("a{{ data.user.none }}b", "ab"),
        ("{{ data.user.admin }}!", "true!"), ("{{ data.nested[1] }}.", '{"in":[3]}.'),
        ("{{ data.items[1].sku }}", "b"), ("{{ data.items[9].sku }}", None),
        ("{{ data.items[*].sku }}", ["a", "b"]), ("{{ data.user[*].x }}", None),
        ("{{ data.nested[*].in[*] }}", [1, 2, 3]), ("{{ data.x[*].y ?? 0 }}", 0),
        ('{{ data["weird key"] }}', 1), ("{{data['a{}']}}", 2),
        ("{{ data.a{ }}", None), ('{{ data["}}"] }}', None),
        ('{{ data.x ?? "y" }}', "y"), ("{{ data.x ?? 1.5 }}", 1.5), ("{{ data.x ?? [] }}", []),
        ("{{ data.user.none ?? false }}", False), ("{{ data.user.admin ?? 0 }}", True),
        ("{{ data.user.id | string }}", "7"), ("{{ data.x | string }}", None),
        ("{{ data.price | number }}", 12.5), ("{{ data.user.name | number }}", None),
        ("{{ data.user.admin | number }}", None), ("{{ data.user.name | upper | lower }}", "ann"),
        ("{{ data.user.id | upper }}", 7), ("{{ data.items[0] | json }}", '{"sku":"a","n":1}'),
        ('{{ data.x ?? "a b" | upper }}', "A B"), ('{{ "{{ }}" }}', "{{ }}"), ("}} {", "}} {"),
        ({"k": "{{ data.x ?? omit }}", "j": ["{{ data.x ?? omit }}", 1]}, {"j": [1]}),
        ("{{ data.x ?? omit }}", None), ("a{{ data.x ?? omit }}b", "ab"),
        ({"{{ id }}": None, "n": [1, 2.5, False]}, {"{{ id }}": None, "n": [1, 2.5, False]}),
        ({"$each": "data.items", "$do": {"s": "{{ item.sku ?? omit }}", "id": "{{ id }}"}},
         [{"s": "a", "id": "1"}, {"s": "b", "id": "1"}, {"id": "1"}]),
        ({"$each": "data.items", "$do": "{{ item }}"}, DATA["items"]),
        ({"$each": "data.user", "$do": 1}, []), ({"$each": "data.x", "$do": 1}, []),
        ({"$each": "data.nested", "$do": {"$each": "item.in", "$do": "{{ item }}"}}, [[1, 2], [3]]),
        ({"$each": "data.items", "$do": "{{ item.n ?? omit }}"}, [1]),
    ],
)  # fmt: skip
def test_rendered_values(template: Any, expected: Any) -> None:
    result = rendered(template)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("template", "key", "message"),
    [
        ({"a": ["x", "{{ y"]}, "template.a[1]", "is not closed"),
        ({"a": {"b": "{{ foo.bar }}"}}, "template.a.b", "a field is an attribute"),
        ("{{ data.x | nope }}", "template", "the filter nope is unknown; there are: string"),
        ("{{ data..x }}", "template", "is not a path"), ("{{ .data }}", "template", "a field is"),
        ("{{ data.[0] }}", "template", "is not a path"),
        ("{{ data[x] }}", "template", "is not a path"),
        ("{{ data.x ?? y }}", "template", "neither a JSON value"),
        ("{{ }}", "template", "is not PATH"), ("{{ data_base64.x }}", "template", "a field is"),
        ("{{ a b }}", "template", "is not PATH"), ("{{ item.x }}", "template", "begins with 'data"),
        ("{{ data.x y() }}", "template", "is not PATH"), ("{{ 7 * 7 }}", "template", "is not PATH"),
        ({"$each": "data.x"}, "template", "and nothing else"),
        ({"$each": "data.x", "$do": 1, "x": 2}, "template", "and nothing else"),
        ({"$each": "nope.x", "$do": 1}, "template.$each", "a field is"),
        ({"$each": "data.x", "$do": "{{ itme.y }}"}, "template.$do", "a field is"),
        ("x" * MAX_TEMPLATE, "template", "is longer than 65536 bytes"),
        ("{{ data." + "x" * 300 + " }}", "template", "at most 256"),
        (object(), "template", "is not a JSON value"),
    ],
)  # fmt: skip
def test_invalid_templates_are_refused(template: Any, key: str, message: str) -> None:
    with pytest.raises(InvalidDefinition, match=re.escape(message)) as raised:
        compile_template(template, None)
    assert raised.value.key.startswith(key)


def test_the_depth_of_a_template_is_limited() -> None:
    def nested(depth: int) -> Any:
        return (
            nested(depth - 1) | {} if not depth else {"a": nested(depth - 1)} if depth > 1 else {}
        )

    compile_template(nested(MAX_DEPTH), None)
    with pytest.raises(InvalidDefinition, match="nested deeper than 32"):
        compile_template(nested(MAX_DEPTH + 2), None)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidDefinition):
        compile_template(endless, None)


def test_a_required_value_that_is_missing_is_an_error() -> None:
    transform = compile_template({"who": {"id": "{{ data.user.uid ?? error }}"}}, None)
    with pytest.raises(TransformationError) as raised:
        transform(of(), 0.0)
    assert str(raised.value) == "template.who.id: the event has no data.user.uid"
    assert raised.value.final
    assert transform(of({"user": {"uid": 0}}), 0.0)[1] == b'{"who":{"id":0}}'


def test_numbers_keep_their_digits() -> None:
    digits = ("10.10", "0.1000000000000000055511151231257827", "1e5", "-0.0", "1E+400",
              "123456789012345678901234567890", "100.00", "9" * 5000)  # fmt: skip
    for number in digits:
        raw = f'{{"a": {number}, "s": "{number}", "l": [{number}, {{"x": {number} }}]}}'.encode()
        for template, body in (
            ("{{ data.a }}", number),
            ({"a": ["{{ data.a }}", "{{ data.l[1].x }}"]}, f'{{"a":[{number},{number}]}}'),
            ("{{ data.l }}", f'[{number}, {{"x": {number} }}]'),
            ("{{ data.l[*].x }}", f"[{number}]"),
            ("{{ data.l[1] }} {{ data.a }}", f'"{{\\"x\\":{number}}} {number}"'),
            ("{{ data.a | string }}", f'"{number}"'), ("{{ data.s | number }}", number),
            ("{{ data.a | number | json }}", f'"{number}"'), ("{{ data.l[0] | upper }}", number),
            ({"$each": "data.l", "$do": "{{ item.x ?? item }}".replace("item }", "0.50 }")},
             f"[0.50,{number}]"),
            ({"$each": "data.l", "$do": "{{ item }}"}, f'[{number},{{"x": {number} }}]'),
            (f"{{{{ data.no ?? {number[:300]} }}}}", number[:300]),
        ):  # fmt: skip
            assert compile_template(template, None)(of(raw), 0.0)[1].decode() == body, template
        text = compile_template("{{ data.a }};{{ data.l }}", "text/plain")(of(raw), 0.0)[1]
        assert text.decode() == f'{number};[{number},{{"x":{number}}}]'


def test_templates_of_another_content_type() -> None:
    transform = compile_template("{{ type }}\n{{ data.user.id }}", "text/plain; charset=utf-8")
    assert transform(of(), 0.0) == (b"text/plain; charset=utf-8", b"order.placed\n7")
    assert compile_template("{{ id }}", "application/vnd.x+json")(of(), 0.0)[1] == b'"1"'
    with pytest.raises(InvalidDefinition, match="must be a string"):
        compile_template({"a": 1}, "text/plain")


def test_the_payload_is_copied_unchanged() -> None:
    raw = b'{ "n": 1.50, "big": 123456789012345678901234567890, "e": 1e400, "n": 2 }'
    body = compile_template({"all": "{{ data }}"}, None)(of(raw), 0.0)[1]
    assert body == b'{"all":' + raw + b"}"
    picked = compile_template("{{ data.big }}", None)(of(raw), 0.0)[1]
    assert picked == b"123456789012345678901234567890"


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (DataKind.TEXT, "hé".encode(), {"d": "hé", "b": None}),
        (DataKind.BINARY, b"\xff", {"d": None, "b": "/w=="}),
        (DataKind.NONE, b"", {"d": None, "b": None}),
        (DataKind.JSON, b"null", {"d": None, "b": None}),
    ],
)
def test_other_payloads(kind: DataKind, data: bytes, expected: Any) -> None:
    assert rendered({"d": "{{ data }}", "b": "{{ data_base64 }}"}, of(data, kind=kind)) == expected


def test_a_code_point_that_is_not_a_character_is_an_error() -> None:
    with pytest.raises(TransformationError, match="not a character"):
        compile_template("{{ data.x }}", None)(of(b'{"x":"\\ud800"}'), 0.0)


def test_the_output_and_the_work_of_a_template_are_limited() -> None:
    many = of({"list": list(range(100_000)), "text": "x" * 100_000})
    for template in (
        ["{{ data }}"] * 4000, "{{ data.text }}" * 3000, "{{ data | json }}" * 2000,
        ["{{ data.list[*].no }}"] * 2500, {"$each": "data.list", "$do": "{{ item.no ?? omit }}"},
        {"$each": "data.list", "$do": {"$each": "data.list", "$do": 1}},
        {"$each": "data.list", "$do": ["{{ data.list }}"]},
    ):  # fmt: skip
        transform = compile_template(template, None)
        with (
            limited_work(template),
            pytest.raises(TransformationError, match=f"makes more than {MAX_OUTPUT} bytes"),
        ):
            transform(many, 0.0)


@pytest.mark.parametrize(
    "do",
    [[[1]] * 100, [None] * 100, ["{{ data.x ?? omit }}"] * 100, 10**2000, "{{ data | number }}",
     [{"$each": "data.x", "$do": 1}] * 100],
    ids=["lists", "literals", "left out", "a long number", "read, not made", "no list"],
)  # fmt: skip
def test_each_visited_value_counts(do: Any) -> None:
    transform = compile_template({"$each": "data.a", "$do": do}, None)
    assert transform(of({"a": [0] * 2}), 0.0)
    with pytest.raises(TransformationError, match=f"makes more than {MAX_OUTPUT} bytes"):
        transform(of({"a": [0] * 1000}), 0.0)


def test_the_payload_is_decoded_once_for_a_repetition() -> None:
    assert rendered({"$each": "data", "$do": "{{ item.n }}"}, of([{"n": 1}, {"n": 2}])) == [1, 2]
    assert rendered({"$each": "data", "$do": 1}) == []
    again = {"$each": "data.a", "$do": {"$each": "data", "$do": 1}}
    event = of({"a": [0] * 5000, "b": [[1]] * 100_000})
    with limited_work():
        assert json.loads(compile_template(again, None)(event, 0.0)[1]) == [[]] * 5000


def test_the_number_of_filters_is_limited_and_each_counts() -> None:
    assert rendered("{{ id" + " | lower | upper" * 4 + " }}") == "1"
    with pytest.raises(InvalidDefinition, match="a placeholder has at most 8 filters"):
        compile_template({"a": "{{ id" + " | json" * 9 + " }}"}, None)
    with pytest.raises(InvalidDefinition, match="at most 8"):
        compile_template("{{ id" + "|lower|upper" * 4000 + " }}", None)
    text = of({"t": "x" * 900_000})
    assert len(rendered("{{ data.t | upper }}", text)) == 900_000
    for filters in ("| lower | upper", "| json | number | string", "| upper | number"):
        with pytest.raises(TransformationError, match=f"makes more than {MAX_OUTPUT} bytes"):
            compile_template("{{ data.t " + filters + " }}", None)(text, 0.0)


@pytest.mark.parametrize(
    "text",
    ['{{"\\"' * 7000, "{{" * 20_000, "{{ 'a" * 10_000,
     '{{ "' * 10_001, "{{ }" * 15_000, "{{ '" + "{{" * 20_000,
     '{{ "' + "\\" * 15_001, "{{ " + "a[" * 20_000 + " }}", "{{ a" + " " * 40_000 + "b }}"],
)  # fmt: skip
def test_a_template_is_parsed_in_linear_time(text: str) -> None:
    for template in (text, ["x" + text]):
        with limited_work(), pytest.raises(InvalidDefinition):
            compile_template(template, None)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(st.sampled_from("abc"), min_size=1, max_size=3), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@given(json_values, st.text(st.sampled_from('{}d. a[0]*?|"item\\x'), max_size=24))
def test_any_template_is_refused_or_gives_json_for_any_event(data: Any, text: str) -> None:
    template = {"a": text, "b": "{{" + text + "}}", "c": ["{{ data.a ?? omit }}", "{{ data }}"]}
    try:
        transform = compile_template(template, None)
    except InvalidDefinition:
        return
    try:
        body = json.loads(transform(of(data), 0.0)[1])
    except TransformationError:
        return
    assert body["c"][-1] == data


@given(json_values)
def test_a_template_without_placeholders_is_constant(value: Any) -> None:
    try:
        result = rendered(value)
    except InvalidDefinition:
        assert "{{" in json.dumps(value)
        return
    assert msgspec.json.encode(result) == msgspec.json.encode(value)


def test_the_output_for_any_event_is_limited() -> None:
    items = {"a": [0] * 65_000, "q": '"'}
    for template in (
        {"$each": "data.a", "$do": [[[1]] * 1000] * 8},
        "{{ data.q " + "| json " * 8 + "}}" + "{{ data.a }}" * 20,
    ):
        result = compile_template(template, None)
        with pytest.raises(TransformationError, match="makes more than"):
            result(Event("1", "s", "t", data=json.dumps(items).encode(), kind=DataKind.JSON), 0.0)
    with pytest.raises(InvalidDefinition, match="at most 8 filters"):
        compile_template("{{ data.q " + "| json " * 9 + "}}", None)


def test_unclosed_braces_are_parsed_in_linear_time() -> None:
    # With a search from each brace it takes half a minute.
    with limited_work(), pytest.raises(InvalidDefinition, match="not closed"):
        compile_template("{{" * 20_000, None)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ("a b&c=d+e", "a%20b%26c%3Dd%2Be"),
        ("../../etc/passwd?x#y", "..%2F..%2Fetc%2Fpasswd%3Fx%23y"),
        ("a\r\nb: c", "a%0D%0Ab%3A%20c"), ("%2F%00", "%252F%2500"),
        ("\u00fc\u20ac", "%C3%BC%E2%82%AC"),
        ("\0", "%00"), ("Az09-._~", "Az09-._~"), ("", ""), (None, ""), (True, "true"), (0, "0"),
        (["a", 1], "%5B%22a%22%2C1%5D"), ({"a": "b&c"}, "%7B%22a%22%3A%22b%26c%22%7D"),
    ],
)  # fmt: skip
def test_values_in_forms_are_percent_encoded(value: Any, encoded: str) -> None:
    """A value cannot add a parameter or end a path segment."""
    form = "application/x-www-form-urlencoded"
    render = compile_template("a={{ data.a | urlencode }}&b={{ type | urlencode }}", form)
    body = f"a={encoded}&b=order.placed"
    assert render(of({"a": value}), 0.0) == (form.encode(), body.encode())
    parsed = parse_qs(body, keep_blank_values=True, strict_parsing=True)
    assert list(parsed) == ["a", "b"]
    text = value if isinstance(value, str) else "" if value is None else None
    assert text is None or parsed["a"] == [text]


def test_urlencode_has_limits_and_refuses_what_is_no_character() -> None:
    with pytest.raises(TransformationError, match="makes more than"):
        compile_template("{{ data.a | urlencode }}", "text/plain")(of({"a": "&" * 400_000}), 0.0)
    with pytest.raises(TransformationError, match="not a character"):
        compile_template("{{ data.a | urlencode }}", "text/plain")(of(b'{"a": "\\ud800"}'), 0.0)


@pytest.mark.parametrize(
    "content_type",
    ["application/xml", "text/xml; charset=utf-8", "application/x-www-form-urlencoded",
     "application/x-ndjson", 'multipart/mixed; boundary="a b"', "application/soap+xml;action=x",
     "application/vnd.acme.v1+json; profile=\"a;b\"; x=y"],
)  # fmt: skip
def test_media_types_of_bodies(content_type: str) -> None:
    assert not list(content_type_problems(content_type))


@pytest.mark.parametrize(
    "content_type",
    ["", "xml", "a/", "/b", "a/b/c", "a b/c", "text/plain; charset", "text/plain; =x",
     "text/plain;",
     "text/plain; a=b c", 'text/plain; a="b', "text/plain\r\nx: y", "text/plain; a=\u00fc", "*/*",
     "text/plain, text/html", " text/plain", "text/plain; charset=latin1",
     'text/plain; charset="UTF-16"', "a/" + "b" * 300],
)  # fmt: skip
def test_what_is_no_media_type_of_a_body(content_type: str) -> None:
    assert [problem.key for problem in content_type_problems(content_type)] == ["content_type"]
