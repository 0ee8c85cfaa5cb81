"""The steps of a chain as functions ``(left, read, errors) -> value``.

Each casts its left operand (section 3.7), which may be of any type, and reads its right one. Both
are read before anything is decided, except by AND and OR. If either is a missing attribute, the
result is the zero value of the operator's type, section 3.2.
"""

from collections.abc import Callable
from typing import Any

from event_gateway.core.cesql.casts import (
    CASTS,
    MISSING,
    Errors,
    Type,
    to_boolean,
    to_integer,
    to_string,
)
from event_gateway.core.cesql.like import Matcher
from event_gateway.core.cesql.operators import ARITHMETIC, COMPARISONS

Read = Callable[[str], Any]  # an attribute's value by its name; None if the event has none
Run = Callable[[Read, Errors], Any]  # a value, or MISSING
Apply = Callable[[Any, Read, Errors], Any]

CLASSES: dict[Type, type] = {Type.STRING: str, Type.INTEGER: int, Type.BOOLEAN: bool}
_TYPES = {class_: type_ for type_, class_ in CLASSES.items()}


def arithmetic(operator: str, operand: Run, position: int) -> Apply:
    """``left operator operand``; the operand gives an Integer."""
    calculate = ARITHMETIC[operator]

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not int and left is not MISSING:
            left = to_integer(left, errors, position)
        right = operand(read, errors)
        if left is MISSING or right is MISSING:
            return 0
        return calculate(left, right, errors, position)

    return apply


def comparison(operator: str, operand: Run, position: int) -> Apply:
    """``<``, ``<=``, ``>`` or ``>=``, which only Integers have."""
    holds = COMPARISONS[operator]

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not int and left is not MISSING:
            left = to_integer(left, errors, position)
        right = operand(read, errors)
        if left is MISSING or right is MISSING:
            return False
        return holds(left, right)

    return apply


def equality(operand: Run, kind: Type | None, position: int, *, equal: bool) -> Apply:
    """``=`` or ``!=``. The type of the right operand (None: known when it is read) decides."""
    if kind is None:
        return _equality_of_unknown(operand, position, equal)
    class_, cast = CLASSES[kind], CASTS[kind]

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not class_ and left is not MISSING:
            left = cast(left, errors, position)
        right = operand(read, errors)
        return False if left is MISSING else (left == right) is equal

    return apply


def _equality_of_unknown(operand: Run, position: int, equal: bool) -> Apply:
    def apply(left: Any, read: Read, errors: Errors) -> Any:
        right = operand(read, errors)
        if left is MISSING or right is MISSING:
            return False
        if left.__class__ is not right.__class__:
            left = CASTS[_TYPES[right.__class__]](left, errors, position)
        return (left == right) is equal

    return apply


def conjunction(operand: Run, position: int) -> Apply:
    """``AND``: the operand is read only if the left one is true."""

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not bool and left is not MISSING:
            left = to_boolean(left, errors, position)
        return left is True and operand(read, errors) is True

    return apply


def disjunction(operand: Run, position: int) -> Apply:
    """``OR``: the operand is read unless the left one is true."""

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not bool and left is not MISSING:
            left = to_boolean(left, errors, position)
        if left is True:
            return True
        right = operand(read, errors)
        return left is not MISSING and right is True

    return apply


def exclusive(operand: Run, position: int) -> Apply:
    """``XOR``."""

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left.__class__ is not bool and left is not MISSING:
            left = to_boolean(left, errors, position)
        right = operand(read, errors)
        return left is not MISSING and right is not MISSING and left is not right

    return apply


def likeness(matches: Matcher, position: int, *, negated: bool) -> Apply:
    """``LIKE`` or ``NOT LIKE``."""

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left is MISSING:
            return False
        if left.__class__ is not str:
            left = to_string(left, errors, position)
        return matches(left) is not negated

    return apply


def membership(elements: list[Run], position: int, *, negated: bool) -> Apply:
    """``IN`` or ``NOT IN``: the elements are cast to the type of the left operand."""

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        values = [element(read, errors) for element in elements]
        if left is MISSING or MISSING in values:
            return False
        cast = CASTS[_TYPES[left.__class__]]
        cast_values = [cast(value, errors, position) for value in values]
        return (left in cast_values) is not negated

    return apply


def membership_of_literals(values: list[Any], position: int, *, negated: bool) -> Apply:
    """The same, if all elements are literals: they are cast in advance, and hashed."""
    sets: dict[type, tuple[frozenset[Any], Errors]] = {}
    for kind, class_ in CLASSES.items():
        noted: Errors = []
        sets[class_] = (
            frozenset(CASTS[kind](value, noted, position) for value in values), noted,
        )  # fmt: skip

    def apply(left: Any, read: Read, errors: Errors) -> Any:
        if left is MISSING:
            return False
        members, noted = sets[left.__class__]
        for error in noted:
            errors.append(error)
        return (left in members) is not negated

    return apply
