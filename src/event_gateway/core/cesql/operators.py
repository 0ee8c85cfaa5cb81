"""What the operators calculate, section 3.4, once their operands are of the right types.

The specification does not say what becomes of a result beyond 32 bits. It is a MathError, and 0 as
of section 3.3: the value is not obvious.
"""

import operator
from collections.abc import Callable

from event_gateway.core.cesql.casts import GREATEST, LEAST, Errors
from event_gateway.core.cesql.errors import ErrorType, ExpressionError

Arithmetic = Callable[[int, int, Errors, int], int]
Comparison = Callable[[int, int], bool]


def _failed(message: str, errors: Errors, position: int) -> int:
    errors.append(ExpressionError(ErrorType.MATH, message, position))
    return 0


def _in_range(result: int, sign: str, errors: Errors, position: int) -> int:
    if LEAST <= result <= GREATEST:
        return result
    return _failed(f"the result of {sign} is not an integer of 32 bits", errors, position)


def _add(x: int, y: int, errors: Errors, position: int) -> int:
    return _in_range(x + y, "+", errors, position)


def _subtract(x: int, y: int, errors: Errors, position: int) -> int:
    return _in_range(x - y, "-", errors, position)


def _multiply(x: int, y: int, errors: Errors, position: int) -> int:
    return _in_range(x * y, "*", errors, position)


def _divide(x: int, y: int, errors: Errors, position: int) -> int:
    """Rounds towards 0."""
    if not y:
        return _failed("division by zero", errors, position)
    quotient = abs(x) // abs(y)
    return _in_range(quotient if (x < 0) is (y < 0) else -quotient, "/", errors, position)


def _remainder(x: int, y: int, errors: Errors, position: int) -> int:
    """Has the sign of the dividend."""
    if not y:
        return _failed("remainder of a division by zero", errors, position)
    remainder = abs(x) % abs(y)
    return -remainder if x < 0 else remainder


def negative(x: int, errors: Errors, position: int) -> int:
    """The minus value."""
    return _in_range(-x, "-", errors, position)


ARITHMETIC: dict[str, Arithmetic] = {
    "+": _add, "-": _subtract, "*": _multiply, "/": _divide, "%": _remainder,
}  # fmt: skip
COMPARISONS: dict[str, Comparison] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
