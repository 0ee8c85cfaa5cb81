"""The functions of the leaves of a tree: attributes and literals."""

from typing import Any

from event_gateway.core.cesql import steps
from event_gateway.core.cesql.casts import (
    CASTS,
    GREATEST,
    LEAST,
    MISSING,
    Errors,
    Type,
    Value,
    attribute_text,
)
from event_gateway.core.cesql.errors import ErrorType, ExpressionError
from event_gateway.core.cesql.nodes import Attribute, Binary, Chain, Literal
from event_gateway.core.cesql.steps import Read, Run

INACCESSIBLE = "data"  # a member of events in JSON, and no attribute


def is_inaccessible(name: str) -> bool:
    """Whether no event can have an attribute of this name."""
    return name == INACCESSIBLE or name != name.lower()


def attribute_of(node: Attribute) -> Run:
    """Reads an attribute: gives its value, or MISSING."""
    name, position = node.name, node.position
    error = ExpressionError(
        ErrorType.MISSING_ATTRIBUTE, f"the event has no attribute {name}", position
    )

    def missing(read: Read, errors: Errors) -> Any:
        errors.append(error)
        return MISSING

    if name == INACCESSIBLE:
        return missing

    def attribute(read: Read, errors: Errors) -> Any:
        value = read(name)
        class_ = value.__class__
        if class_ is str or class_ is bool or (class_ is int and LEAST <= value <= GREATEST):
            return value
        if value is None:
            errors.append(error)
            return MISSING
        return _converted(value, name, errors, position)

    return attribute


def _converted(value: object, name: str, errors: Errors, position: int) -> str:
    try:
        return attribute_text(value)
    except Exception as error:
        errors.append(
            ExpressionError(
                ErrorType.GENERIC,
                f"the attribute {name} has no text: {type(error).__name__}",
                position,
            )
        )
        return ""


def cast_literal(value: Value, target: Type, position: int) -> Run:
    """Gives a literal that is cast in advance."""
    noted: Errors = []
    constant = CASTS[target](value, noted, position)
    if not noted:
        return lambda read, errors: constant

    def failing(read: Read, errors: Errors) -> Any:
        errors.append(noted[0])
        return constant

    return failing


def attribute_equals(node: Chain) -> Run | None:
    """The most frequent chain, ``attribute = 'text'`` or ``!=``, in one function; None for
    others."""
    step = node.steps[0]
    if not (
        len(node.steps) == 1
        and isinstance(node.first, Attribute)
        and isinstance(step, Binary)
        and step.operator in ("=", "!=")
        and isinstance(step.operand, Literal)
        and isinstance(step.operand.value, str)
    ):
        return None
    name, text, equal, position = (
        node.first.name, step.operand.value, step.operator == "=", step.position,
    )  # fmt: skip
    attribute = attribute_of(node.first)
    apply = steps.equality(lambda read, errors: text, Type.STRING, position, equal=equal)
    if name == INACCESSIBLE:
        return lambda read, errors: apply(attribute(read, errors), read, errors)

    def run(read: Read, errors: Errors) -> Any:
        value = read(name)
        if value.__class__ is str:
            return (value == text) is equal
        return apply(attribute(read, errors), read, errors)

    return run
