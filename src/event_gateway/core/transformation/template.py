"""Templates: bodies in the shape of JSON, with values taken from an event.

``{{ PATH ?? DEFAULT | FILTER }}`` in a text is replaced. A text that is nothing else becomes the
value with its type; within a longer text the value is written as text. Nothing is evaluated but
paths, defaults and the filters named here. docs/reference/transformations.md has the language.
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
from event_gateway.core.transformation.template_scope import NODE, Scope
from event_gateway.core.transformation.template_values import (
    FILTERS,
    OMIT,
    as_text,
    encode,
    measured,
    parsed,
)

MAX_TEMPLATE = 64 * 1024  # bytes
MAX_DEPTH = 32
MAX_FILTERS = 8  # in one place
EACH, DO, ITEM = "$each", "$do", "item"

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PATH = r"""(?:[^\s|?"'\[]|\[(?:"[^"]*"|'[^']*'|[^\]"']*)\])+"""
_PLACE = re.compile(r"\{\{((?:" + _QUOTED + r"""|'[^']*'|[^"'}])*)\}\}""")
_EXPRESSION = re.compile(
    rf"\s*(?P<what>{_QUOTED}|{_PATH})\s*(?:\?\?\s*(?P<default>{_QUOTED}|[^\s|\"]+)\s*)?"
    r"(?P<filters>(?:\|\s*[a-z]+\s*)*)"
)


_Node = Callable[[Scope], Any]
Template = Callable[[Event, float], tuple[bytes, bytes]]


def compile_template(template: Any, content_type: str | None) -> Template:
    """What makes content type and body of an event. Raises InvalidDefinition.

    In another content type than JSON the template is one text, and the body is that text. What is
    made raises TransformationError.
    """
    try:
        size = len(encode(template))
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidDefinition("template", f"is nothing that JSON can say: {error}") from None
    if size > MAX_TEMPLATE:
        raise InvalidDefinition("template", f"is longer than {MAX_TEMPLATE} bytes")
    plain = content_type is not None and not is_json_content(content_type)
    render = (
        _text(template, "template") if plain else _compile(template, "template", 0, in_each=False)
    )
    media = (content_type or JSON).encode()

    def transform(event: Event, received_at: float) -> tuple[bytes, bytes]:
        try:
            made = render(Scope(event))
            body = made.encode() if plain else encode(None if made is OMIT else made)
        except UnicodeEncodeError:
            raise TransformationError("the data holds a code point that is no character") from None
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
        whole = _PLACE.fullmatch(value)
        if whole is not None:
            return _value(whole[1], key, in_each=in_each)
        return _text(value, key, in_each=in_each)
    if isinstance(value, list):
        nodes = [
            _compile(v, f"{key}[{n}]", depth + 1, in_each=in_each) for n, v in enumerate(value)
        ]

        def collect(scope: Scope) -> list[Any]:
            scope.spend(NODE)
            return [one for node in nodes if (one := node(scope)) is not OMIT]

        return collect
    if isinstance(value, dict):
        if EACH in value:
            return _each(value, key, depth, in_each=in_each)
        members = [
            (n, _compile(v, f"{key}.{n}", depth + 1, in_each=in_each)) for n, v in value.items()
        ]
        fixed = NODE + sum(len(name) for name in value)

        def build(scope: Scope) -> dict[str, Any]:
            scope.spend(fixed)
            return {n: one for n, node in members if (one := node(scope)) is not OMIT}

        return build
    return _fixed(value, NODE + len(encode(value)))


def _fixed(value: Any, size: int) -> _Node:
    def give(scope: Scope) -> Any:
        scope.spend(size)
        return value

    return give


def _each(value: dict[str, Any], key: str, depth: int, *, in_each: bool) -> _Node:
    """``{"$each": PATH, "$do": …}``: a list with one of these for each item."""
    if set(value) != {EACH, DO} or not isinstance(value[EACH], str):
        raise InvalidDefinition(key, f"a repetition is {{{EACH}: PATH, {DO}: …}}, and nothing else")
    # The whole payload is decoded once for all repetitions, not once for each.
    whole = value[EACH] == "data"
    place = Scope.data if whole else _place(value[EACH], f"{key}.{EACH}", in_each=in_each)
    node = _compile(value[DO], f"{key}.{DO}", depth + 1, in_each=True)

    def repeat(scope: Scope) -> list[Any]:
        scope.spend(NODE)
        items = place(scope)
        if not isinstance(items, list):
            return []
        outer, out = scope.item, []
        for item in items:
            scope.item = item
            scope.spend(NODE)
            one = node(scope)
            if one is not OMIT:
                out.append(one)
        scope.item = outer
        return out

    return repeat


def _text(value: Any, key: str, *, in_each: bool = False) -> _Node:
    """A text with values in it."""
    if not isinstance(value, str):
        raise InvalidDefinition(key, "must be one text, as the content type is not JSON")
    parts: list[str | _Node] = []
    at = 0
    while (start := value.find("{{", at)) >= 0:
        # One attempt where the place must begin, and none behind it: each would read to the end.
        match = _PLACE.match(value, start)
        if match is None:
            raise InvalidDefinition(key, "{{ is not closed by }}, or holds what it must not")
        parts += [value[at:start], _value(match[1], key, in_each=in_each)]
        at = match.end()
    if not parts:
        return _fixed(value, NODE + len(value))
    parts.append(value[at:])

    def write(scope: Scope) -> str:
        out = []
        for part in parts:
            text = part if isinstance(part, str) else as_text(part(scope))
            scope.spend(len(text))
            out.append(text)
        return "".join(out)

    return write


def _value(expression: str, key: str, *, in_each: bool) -> _Node:
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise InvalidDefinition(
            key, f"{{{{{expression[:64]}}}}} is not PATH, PATH ?? DEFAULT or PATH | FILTER"
        )
    what, default = match["what"], match["default"]
    names = match["filters"].replace("|", " ").split()
    if len(names) > MAX_FILTERS:
        raise InvalidDefinition(key, f"there are at most {MAX_FILTERS} filters in one place")
    for name in names:
        if name not in FILTERS:
            raise InvalidDefinition(
                key, f"the filter {name} is unknown; there are: {', '.join(FILTERS)}"
            )
    filters = [FILTERS[name] for name in names]
    literal = _literal(what, key) if what.startswith('"') else None
    place = None if literal is not None else _place(what, key, in_each=in_each)
    instead = OMIT if default == "omit" else None
    if default not in (None, "omit", "error"):
        instead = _literal(default, key)

    def take(scope: Scope) -> Any:
        scope.spend(NODE)
        found = literal if place is None else place(scope)
        if found is msgspec.UNSET or found is None or found == _NULL:
            if default == "error":
                raise TransformationError(f"{key}: the event has no {what}")
            found = instead
        if found is OMIT:
            return found
        spent = 0
        for one in filters:
            spent = len(found) if isinstance(found, (str, msgspec.Raw)) else 0
            scope.spend(spent)  # what a filter reads, as what it makes may be short or none
            found = one(parsed(found))
        size, found = measured(found)
        scope.spend(max(size - spent, 0))
        return found

    return take


_NULL = msgspec.Raw(b"null")


def _place(text: str, key: str, *, in_each: bool) -> _Node:
    """What gives the value at a path; UNSET where there is none."""
    if text == "data":
        return _payload
    if text == "data_base64":
        return lambda scope: (
            payload_of(scope.event) if scope.event.kind is DataKind.BINARY else msgspec.UNSET
        )
    of_item = in_each and (text == ITEM or text.startswith((f"{ITEM}.", f"{ITEM}[")))
    if of_item:
        steps = parse_path(f"data{text.removeprefix(ITEM)}", key).steps
        return lambda scope: scope.follow(scope.item, steps)
    path = parse_path(text, key)
    name = path.attribute
    if name is not None:
        return lambda scope: scope.event.attribute(name)
    return lambda scope: scope.follow(scope.data(), path.steps)


def _payload(scope: Scope) -> Any:
    if scope.event.kind is DataKind.JSON:
        return msgspec.Raw(scope.event.data)  # goes in as it is
    return scope.data()


def _literal(text: str, key: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise InvalidDefinition(
            key, f'{text[:64]} is neither a JSON value (texts in "…") nor omit or error'
        ) from None
