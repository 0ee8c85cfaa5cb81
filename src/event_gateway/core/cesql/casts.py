"""Types, values and casts: sections 3.1, 3.2 and 3.7."""

import base64
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from event_gateway.core.cesql.errors import ErrorType, ExpressionError

Value = str | int | bool
Errors = list[ExpressionError]

LEAST: Final = -(2**31)  # the range of Integer, section 3.1
GREATEST: Final = 2**31 - 1
MAX_SHOWN = 40  # characters of a value in an error


class Type(StrEnum):
    """The types of values. ``ANY`` is of parameters that take a value as it is."""

    STRING = "String"
    INTEGER = "Integer"
    BOOLEAN = "Boolean"
    ANY = "Any"


ZERO: dict[Type, Value] = {
    Type.STRING: "", Type.INTEGER: 0, Type.BOOLEAN: False, Type.ANY: False,
}  # fmt: skip


class Missing:
    """What an attribute that the event does not have gives to the operator around it."""

    __slots__ = ()


MISSING: Final = Missing()


def type_of(value: Value) -> Type:
    """The type of a value."""
    if isinstance(value, str):
        return Type.STRING
    return Type.BOOLEAN if isinstance(value, bool) else Type.INTEGER


def is_value(value: Any, expected: Type) -> bool:
    """Whether a Python object is a value of a type of CESQL."""
    kind = type(value)
    if kind is int:
        return expected in (Type.INTEGER, Type.ANY) and LEAST <= value <= GREATEST
    if kind is bool:
        return expected in (Type.BOOLEAN, Type.ANY)
    return kind is str and expected in (Type.STRING, Type.ANY)


def attribute_text(attribute: object) -> str:
    """The String for an attribute that is of none of the three types, section 3.2, as the
    CloudEvents specification writes its type: bytes in Base64, times as of RFC 3339.

    Raises what ``str`` raises.
    """
    if isinstance(attribute, (bytes, bytearray, memoryview)):
        return base64.b64encode(attribute).decode()
    if isinstance(attribute, datetime):
        text = attribute.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    return str(attribute)


def integer_of(text: str) -> int | None:
    """String to Integer; None for what is not one of 32 bits."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    if len(digits) > 10:  # int() takes a time that grows with the square
        digits = digits.lstrip("0") or "0"
        if len(digits) > 10:
            return None
    value = -int(digits) if text[0] == "-" else int(digits)
    return value if LEAST <= value <= GREATEST else None


def boolean_of(text: str) -> bool | None:
    """String to Boolean; None for what is neither true nor false."""
    if len(text) not in (4, 5):
        return None
    lower = text.lower()
    return True if lower == "true" else False if lower == "false" else None


def string_of(value: Value) -> str:
    """Any value to String, which never fails."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def to_string(value: Value, errors: Errors, position: int) -> str:
    """The cast to String."""
    return string_of(value)


def to_integer(value: Value, errors: Errors, position: int) -> int:
    """The cast to Integer; 0 and a CastError where there is none."""
    if isinstance(value, str):
        number = integer_of(value)
        if number is None:
            errors.append(_cast_error(value, Type.INTEGER, position))
            return 0
        return number
    return int(value)


def to_boolean(value: Value, errors: Errors, position: int) -> bool:
    """The cast to Boolean; false and a CastError where there is none."""
    if isinstance(value, str):
        truth = boolean_of(value)
        if truth is None:
            errors.append(_cast_error(value, Type.BOOLEAN, position))
            return False
        return truth
    return value != 0


def as_it_is(value: Value, errors: Errors, position: int) -> Value:
    """The cast to a parameter that takes any value."""
    return value


Cast = Callable[[Value, Errors, int], Value]
CASTS: dict[Type, Cast] = {
    Type.STRING: to_string, Type.INTEGER: to_integer, Type.BOOLEAN: to_boolean, Type.ANY: as_it_is,
}  # fmt: skip


def _cast_error(value: str, target: Type, position: int) -> ExpressionError:
    shown = value if len(value) <= MAX_SHOWN else f"{value[:MAX_SHOWN]}…"
    return ExpressionError(ErrorType.CAST, f"cannot cast '{shown}' to {target}", position)
