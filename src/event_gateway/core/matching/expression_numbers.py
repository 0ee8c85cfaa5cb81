"""Numbers in CEL expressions: JSON has one kind of number, the engine has int, uint and double.

The engine compares these kinds with each other, and does not calculate with two of them: the
standard library has no ``int * double``. This module adds these overloads, and gives the engine
each number of an event's data as the kind that its value has, however the publisher wrote it. The
rule for users is in docs/guides/filters.md, the reasons are in docs/decisions/0029-numbers.md.
"""

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from event_gateway.core.text.json_values import INTEGERS

# In JSON text: a number with a fraction of zeros or an exponent, or of 19 digits or more. Some
# strings match, too; that costs time, and changes nothing.
_ODD = re.compile(rb"\d(?:\.0+\s*(?:[,}\]]|$)|[eE][-+]?\d+\s*(?:[,}\]]|$)|\d{18})")


def has_odd_numbers(data: bytes) -> bool:
    """Whether JSON text may have numbers that :func:`normalize` changes."""
    return data[:1] not in b'"{[tfn' or _ODD.search(data) is not None


def normalize(value: Any) -> Any:
    """A JSON value whose numbers are of the kind that the engine is to have: int where they are
    whole and have at most 64 bits, else double. Changes lists and objects in place."""
    if not isinstance(value, (dict, list)):
        return _number(value)
    containers: list[Any] = [value]
    while containers:  # not recursive: data may be nested deeper than Python's stack
        container = containers.pop()
        for key, member in container.items() if type(container) is dict else enumerate(container):
            kind = type(member)
            if kind is dict or kind is list:
                containers.append(member)
            elif kind is float or kind is int:
                container[key] = _number(member)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() and int(value) in INTEGERS else value
    if isinstance(value, int) and value not in INTEGERS:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def mixed_arithmetic(cel: Any) -> Any:
    """The extension of the engine with arithmetic between its kinds of numbers.

    With a double the other operand is converted to double, and the result is a double. An int and a
    uint give an exact integer, or the error ``overflow``.
    """
    kinds = cel.Type
    with_double = [(kinds.INT, kinds.DOUBLE), (kinds.DOUBLE, kinds.INT),
                   (kinds.UINT, kinds.DOUBLE), (kinds.DOUBLE, kinds.UINT)]  # fmt: skip
    integers = [(kinds.INT, kinds.UINT), (kinds.UINT, kinds.INT)]

    def overloads(name: str, pairs: list[Any], function: Callable[..., Any]) -> list[Any]:
        # The result is dynamic: the checker would refuse ``event.data.n * 1.5 == 3`` otherwise.
        return [
            cel.Overload(
                f"event_gateway_{name}_{at}",
                return_type=kinds.DYN,
                parameters=list(pair),
                impl=function,
            )
            for at, pair in enumerate(pairs)
        ]

    functions = [
        cel.FunctionDecl(
            symbol,
            overloads(f"{name}_double", with_double, of_doubles)
            + overloads(f"{name}_integer", integers, _exact(of_integers)),
        )
        for symbol, name, of_doubles, of_integers in (
            ("_+_", "add", operator.add, operator.add),
            ("_-_", "subtract", operator.sub, operator.sub),
            ("_*_", "multiply", operator.mul, operator.mul),
            ("_/_", "divide", _divided, _quotient),
        )
    ]
    functions.append(
        cel.FunctionDecl("_%_", overloads("modulo_integer", integers, _exact(_remainder)))
    )
    functions.append(cel.FunctionDecl("-_", overloads("negate", [(kinds.UINT,)], _negative)))
    return cel.CelExtension("event_gateway_numbers", functions)


def _exact(calculate: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def calculated(first: int, second: int) -> int:
        result = calculate(first, second)
        if result not in INTEGERS:
            raise OverflowError("integer overflow")
        return result

    return calculated


def _divided(first: float, second: float) -> float:
    """Division of IEEE 754: by zero it gives an infinity or NaN."""
    if second:
        return first / second
    if not first or first != first:
        return math.nan
    return math.copysign(math.inf, first) * math.copysign(1.0, second)


def _quotient(first: int, second: int) -> int:
    """The quotient without its fraction, as CEL divides integers."""
    if not second:
        raise ZeroDivisionError("divide by zero")
    quotient = abs(first) // abs(second)
    return quotient if (first < 0) is (second < 0) else -quotient


def _remainder(first: int, second: int) -> int:
    if not second:
        raise ZeroDivisionError("modulus by zero")
    return first - second * _quotient(first, second)


def _negative(value: int) -> int | float:
    return -value if -value in INTEGERS else -float(value)
