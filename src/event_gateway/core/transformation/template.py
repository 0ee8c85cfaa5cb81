"""Templates: bodies in the shape of JSON, with values taken from an event.

``{{ PATH ?? DEFAULT | FILTER }}`` in a string is a placeholder. A string that is only a placeholder
becomes the value with its type; in a longer string the value is inserted as text. Only paths,
defaults and the filters below are evaluated. docs/reference/transformations.md describes the
language.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event
from event_gateway.core.cloudevents.media_types import is_json_content
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.path import parse_path
from event_gateway.core.transformation.definition import (
    JSON,
    MAX_OUTPUT,
    TransformationError,
    payload_of,
)
from event_gateway.core.transformation.rendering import NODE, Rendering
from event_gateway.core.transformation.template_values import (
    FILTERS,
    OMIT,
    as_text,
    encode,
    measure,
    scalar,
)

MAX_TEMPLATE = 64 * 1024  # bytes
MAX_DEPTH = 32
MAX_FILTERS = 8  # in one placeholder
EACH, DO, ITEM = "$each", "$do", "item"

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PATH = r"""(?:[^\s|?"'\[]|\[(?:"[^"]*"|'[^']*'|[^\]"']*)\])+"""
_PLACEHOLDER = re.compile(r"\{\{((?:" + _QUOTED + r"""|'[^']*'|[^"'}])*)\}\}""")
_EXPRESSION = re.compile(
    rf"\s*(?P<source>{_QUOTED}|{_PATH})\s*(?:\?\?\s*(?P<default>{_QUOTED}|[^\s|\"]+)\s*)?"
    r"(?P<filters>(?:\|\s*[a-z]+\s*)*)"
)


_Node = Callable[[Rendering], Any]  # renders a part of the template
Template = Callable[[Event, float], tuple[bytes, bytes]]


def compile_template(template: Any, content_type: str | None) -> Template:
    """Compiles a template to a function from an event to content type and body.

    If the content type is not JSON, the template must be a string, and the body is its text. Raises
    InvalidDefinition; the function raises TransformationError.
    """
    try:
        size = len(encode(template))
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidDefinition("template", f"is not a JSON value: {error}") from None
    if size > MAX_TEMPLATE:
        raise InvalidDefinition("template", f"is longer than {MAX_TEMPLATE} bytes")
    plain = content_type is not None and not is_json_content(content_type)
    render = (
        _text(template, "template") if plain else _compile(template, "template", 0, in_each=False)
    )
    media = (content_type or JSON).encode()

    def transform(event: Event, received_at: float) -> tuple[bytes, bytes]:
        try:
            value = render(Rendering(event))
            body = value.encode() if plain else encode(None if value is OMIT else value)
        except UnicodeEncodeError:
            raise TransformationError(
                "the data contains a code point that is not a character"
            ) from None
        except RecursionError:
            raise TransformationError("the data is nested too deep") from None
        if len(body) > MAX_OUTPUT:
            raise TransformationError(f"makes more than {MAX_OUTPUT} bytes")
        return media, body

    return transform


def _compile(value: Any, key: str, depth: int, *, in_each: bool) -> _Node:
    if depth > MAX_DEPTH:
        raise InvalidDefinition(key, f"is nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        placeholder = _PLACEHOLDER.fullmatch(value)
        if placeholder is not None:
            return _value(placeholder[1], key, in_each=in_each)
        return _text(value, key, in_each=in_each)
    if isinstance(value, list):
        nodes = [
            _compile(v, f"{key}[{n}]", depth + 1, in_each=in_each) for n, v in enumerate(value)
        ]

        def collect(rendering: Rendering) -> list[Any]:
            rendering.spend(NODE)
            return [item for node in nodes if (item := node(rendering)) is not OMIT]

        return collect
    if isinstance(value, dict):
        if EACH in value:
            return _each(value, key, depth, in_each=in_each)
        members = [
            (n, _compile(v, f"{key}.{n}", depth + 1, in_each=in_each)) for n, v in value.items()
        ]
        fixed = NODE + sum(len(name) for name in value)

        def build(rendering: Rendering) -> dict[str, Any]:
            rendering.spend(fixed)
            return {n: member for n, node in members if (member := node(rendering)) is not OMIT}

        return build
    return _constant(value, NODE + len(encode(value)))


def _constant(value: Any, size: int) -> _Node:
    def constant(rendering: Rendering) -> Any:
        rendering.spend(size)
        return value

    return constant


def _each(value: dict[str, Any], key: str, depth: int, *, in_each: bool) -> _Node:
    """``{"$each": PATH, "$do": …}``: a list with the rendered ``$do`` for each item."""
    if set(value) != {EACH, DO} or not isinstance(value[EACH], str):
        raise InvalidDefinition(key, f"a repetition is {{{EACH}: PATH, {DO}: …}}, and nothing else")
    read = _reader(value[EACH], f"{key}.{EACH}", in_each=in_each)
    node = _compile(value[DO], f"{key}.{DO}", depth + 1, in_each=True)

    def repeat(rendering: Rendering) -> list[Any]:
        rendering.spend(NODE)
        items = rendering.container(read(rendering))
        if not isinstance(items, list):
            return []
        outer, out = rendering.item, []
        for item in items:
            rendering.item = item
            rendering.spend(NODE)
            rendered = node(rendering)
            if rendered is not OMIT:
                out.append(rendered)
        rendering.item = outer
        return out

    return repeat


def _text(value: Any, key: str, *, in_each: bool = False) -> _Node:
    """A string with placeholders in it."""
    if not isinstance(value, str):
        raise InvalidDefinition(key, "must be a string, since the content type is not JSON")
    parts: list[str | _Node] = []
    at = 0
    while (start := value.find("{{", at)) >= 0:
        # Matches only at this index: a search would scan the rest of the text at each "{{".
        match = _PLACEHOLDER.match(value, start)
        if match is None:
            raise InvalidDefinition(key, "{{ is not closed by }}, or contains invalid text")
        parts += [value[at:start], _value(match[1], key, in_each=in_each)]
        at = match.end()
    if not parts:
        return _constant(value, NODE + len(value))
    parts.append(value[at:])

    def write(rendering: Rendering) -> str:
        out = []
        for part in parts:
            text = part if isinstance(part, str) else as_text(part(rendering))
            rendering.spend(len(text))
            out.append(text)
        return "".join(out)

    return write


def _value(expression: str, key: str, *, in_each: bool) -> _Node:
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise InvalidDefinition(
            key, f"{{{{{expression[:64]}}}}} is not PATH, PATH ?? DEFAULT or PATH | FILTER"
        )
    source, default = match["source"], match["default"]
    names = match["filters"].replace("|", " ").split()
    if len(names) > MAX_FILTERS:
        raise InvalidDefinition(key, f"a placeholder has at most {MAX_FILTERS} filters")
    for name in names:
        if name not in FILTERS:
            raise InvalidDefinition(
                key, f"the filter {name} is unknown; there are: {', '.join(FILTERS)}"
            )
    filters = [FILTERS[name] for name in names]
    literal = _literal(source, key) if source.startswith('"') else None
    read = None if literal is not None else _reader(source, key, in_each=in_each)
    fallback = OMIT if default == "omit" else None
    if default not in (None, "omit", "error"):
        fallback = _literal(default, key)

    def evaluate(rendering: Rendering) -> Any:
        rendering.spend(NODE)
        value = literal if read is None else read(rendering)
        if value is msgspec.UNSET or value is None or value == _NULL:
            if default == "error":
                raise TransformationError(f"{key}: the event has no {source}")
            value = fallback
        if value is OMIT:
            return value
        spent = 0
        for apply in filters:
            spent = len(value) if isinstance(value, (str, msgspec.Raw)) else 0
            rendering.spend(spent)  # counts the input of a filter too: its output may be empty
            value = apply(scalar(value))
        size, value = measure(value)
        rendering.spend(max(size - spent, 0))
        return value

    return evaluate


_NULL = msgspec.Raw(b"null")


def _reader(text: str, key: str, *, in_each: bool) -> _Node:
    """A function that returns the value at a path; UNSET if there is none."""
    if text == "data":
        return lambda rendering: rendering.data  # copied without decoding
    if text == "data_base64":
        return lambda rendering: (
            payload_of(rendering.event)
            if rendering.event.kind is DataKind.BINARY
            else msgspec.UNSET
        )
    of_item = in_each and (text == ITEM or text.startswith((f"{ITEM}.", f"{ITEM}[")))
    if of_item:
        steps = parse_path(f"data{text.removeprefix(ITEM)}", key).steps
        return lambda rendering: rendering.follow(rendering.item, steps)
    path = parse_path(text, key)
    name = path.attribute
    if name is not None:
        return lambda rendering: rendering.event.attribute(name)
    return lambda rendering: rendering.follow(rendering.data, path.steps)


def _literal(text: str, key: str) -> Any:
    try:
        return scalar(msgspec.Raw(bytes(msgspec.json.decode(text, type=msgspec.Raw))))
    except msgspec.DecodeError:
        raise InvalidDefinition(
            key, f'{text[:64]} is neither a JSON value (strings in "…") nor omit or error'
        ) from None
