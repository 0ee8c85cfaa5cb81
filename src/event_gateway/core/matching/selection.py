"""A selection: the conditions that an event must meet, beyond its type, to be delivered.

:class:`Selection` is the only declaration. Webhooks extend it (and with them the registry and the
API's answers), and these are made from it: the keys of webhooks in the configuration, in its JSON
Schema and reference (``config.selection_model``), the fields of a subscribe request, the conditions
in the index, and those that ``/v1/webhooks/match`` explains.

To add a field, declare it in :class:`Selection`, with a default and a :class:`SelectionField`. A
field without one is refused when this module is loaded; ``tests/unit/test_selection.py`` then asks
for an example of it, and fails where something that shows webhooks (the OpenAPI document, a
command, the tools for assistants) leaves the field out. ``make docs`` writes the reference again.
"""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Annotated, Any, get_args, get_type_hints

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.dialects import filter_of
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression, expression_of
from event_gateway.core.matching.filter import Filter, Predicate, check_filter, compile_filter
from event_gateway.core.matching.operators import MAX_LIST, MAX_TEXT

MAX_FILTERS = 50  # in one list
MAX_CONDITIONS = 200  # in all filters together

Condition = Filter | CelExpression


class SelectionField(msgspec.Struct, frozen=True):
    """What a field of a selection means.

    ``description`` is for users. ``condition`` turns the field's value, or with ``each`` every
    entry of it, into a condition; its second argument is the key for InvalidDefinition, which it
    raises.
    """

    description: str
    condition: Callable[[Any, str], Condition]
    each: bool = False


def _one_of(path: str) -> Callable[[Any, str], Filter]:
    """The condition that the value at a path is one of several."""

    def condition(values: Any, key: str) -> Filter:
        if len(values) > MAX_LIST:
            raise InvalidDefinition(key, f"has {len(values)} values; at most {MAX_LIST} allowed")
        return Filter(path, "in", list(values))

    return condition


def _filter(value: Any, key: str) -> Filter:
    return value  # type: ignore[no-any-return]


def _expression(text: Any, key: str) -> CelExpression:
    try:
        return expression_of(text)
    except ValueError as error:
        raise InvalidDefinition(key, str(error)) from None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions that an event must meet, all of them. They are evaluated in this order."""

    namespaces: Annotated[
        tuple[str, ...],
        SelectionField(
            "Values of `data.namespace`, of which the event must have one. Empty: any.",
            _one_of("data.namespace"),
        ),
    ] = ()
    sources: Annotated[
        tuple[str, ...],
        SelectionField("Sources, of which the event must have one. Empty: any.", _one_of("source")),
    ] = ()
    filters: Annotated[
        tuple[Filter, ...],
        SelectionField("Filters that must all match the event.", _filter, each=True),
    ] = ()
    cloudevents_filters: Annotated[
        tuple[dict[str, Any], ...],
        SelectionField(
            "CloudEvents filters that must all match the event: `exact`, `prefix`, `suffix`, "
            "`all`, `any`, `not` and `sql`.",
            filter_of,
            each=True,
        ),
    ] = ()
    expression: Annotated[
        str | None,
        SelectionField("A CEL expression over `event` that must be true.", _expression),
    ] = None


_HINTS = {
    name: get_args(hint) for name, hint in get_type_hints(Selection, include_extras=True).items()
}
FIELDS: dict[str, SelectionField] = {
    name: next(part for part in _HINTS[name] if isinstance(part, SelectionField))
    for name in Selection.__struct_fields__
}
TYPES: dict[str, Any] = {name: _HINTS[name][0] for name in FIELDS}
# In a query string these are written as they are, the others as JSON.
TEXT_FIELDS = frozenset(name for name, type_ in TYPES.items() if type_ == str | None)
DEFAULTS: dict[str, Any] = {name: getattr(Selection(), name) for name in FIELDS}
_values = attrgetter(*FIELDS)
_NONE = tuple(DEFAULTS.values())


def selection_values(selection: Selection) -> dict[str, Any]:
    """The fields of a selection (of a webhook: only these), as arguments for another one."""
    return {name: getattr(selection, name) for name in FIELDS}


def conditions(selection: Selection) -> Iterator[tuple[str, Condition]]:
    """Each condition, after the key that it stands under. Raises InvalidDefinition where
    :func:`selection_problems` reports one."""
    for key, value, field in _parts(selection):
        yield key, field.condition(value, key)


def has_conditions(selection: Selection) -> bool:
    """Whether it has a condition."""
    return _values(selection) != _NONE


def _parts(selection: Selection) -> Iterator[tuple[str, Any, SelectionField]]:
    """The parts of a selection that are a condition each: their keys, values and fields."""
    for name, field in FIELDS.items():
        value = getattr(selection, name)
        if field.each:
            for position, entry in enumerate(value):
                yield f"{name}[{position}]", entry, field
        elif value != DEFAULTS[name]:
            yield name, value, field


def evaluated_texts(selection: Selection) -> tuple[str, ...]:
    """The expressions of a selection, of whatever language: evaluating them may give an error."""
    texts: list[str] = [] if selection.expression is None else [selection.expression]
    waiting: list[Any] = list(reversed(selection.cloudevents_filters))
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, list):
            waiting += reversed(entry)
        elif isinstance(entry, dict):
            for name, value in entry.items():
                if name == "sql" and isinstance(value, str):
                    texts.append(value)
                elif name in ("all", "any", "not"):
                    waiting.append(value)
    return tuple(texts)


def selection_problems(selection: Selection) -> Iterator[InvalidDefinition]:
    """All reasons why a selection cannot be registered, each with its key."""
    for name, field in FIELDS.items():
        if field.each and len(getattr(selection, name)) > MAX_FILTERS:
            yield InvalidDefinition(name, f"there are at most {MAX_FILTERS}")
            return
    count = 0
    for key, value, field in _parts(selection):
        try:
            condition = field.condition(value, key)
            if field.each and isinstance(condition, Filter):
                count += check_filter(condition, key)
            elif isinstance(value, tuple):
                _check_texts(value, key)
        except InvalidDefinition as problem:
            yield problem
    if count > MAX_CONDITIONS:
        yield InvalidDefinition(
            "filters", f"with their groups there are at most {MAX_CONDITIONS} conditions"
        )


def _check_texts(values: tuple[str, ...], key: str) -> None:
    """Only at a registration: what is stored already keeps working."""
    for position, value in enumerate(values):
        if len(value) > MAX_TEXT:
            raise InvalidDefinition(f"{key}[{position}]", f"is longer than {MAX_TEXT} characters")


def compile_selection(selection: Selection) -> Predicate:
    """A function that tells whether an event meets all conditions. An expression without a
    value is not met. Raises InvalidDefinition where :func:`selection_problems` reports one."""
    predicates = [_predicate(condition) for _, condition in conditions(selection)]
    return lambda received: all(holds(received) for holds in predicates)


def _predicate(condition: Condition) -> Predicate:
    if isinstance(condition, Filter):
        return compile_filter(condition)
    holds = condition.holds

    def predicate(received: Received) -> bool:
        try:
            return holds(received)
        except EvaluationError:
            return False

    return predicate
