"""The built-in functions: section 3.5, and the explicit casts that sections 2 and 3.7 use.

The specification names ``INT`` and ``STRING`` without a table of their own, and an explicit cast
in the definition of CastError: ``INT``, ``BOOL`` and ``STRING`` cast any value as of section 3.7.
``IS_INT`` and ``IS_BOOL`` tell whether ``INT`` and ``BOOL`` would do so without an error.
"""

from event_gateway.core.cesql.casts import (
    GREATEST,
    LEAST,
    MAX_SHOWN,
    Type,
    Value,
    boolean_of,
    integer_of,
    string_of,
)
from event_gateway.core.cesql.errors import ErrorType
from event_gateway.core.cesql.functions import Function, FunctionFailed, Functions

# Unicode's property White_Space. str.strip() also removes some control characters.
_WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def _concat(*texts: str) -> str:
    return "".join(texts)


def _concat_ws(delimiter: str, *texts: str) -> str:
    return delimiter.join(texts)


def _trim(x: str) -> str:
    return x.strip(_WHITE_SPACE)


def _left(x: str, y: int) -> str:
    if y < 0:
        raise FunctionFailed(f"LEFT takes no negative number of characters: {y}", x)
    return x[:y]


def _right(x: str, y: int) -> str:
    if y < 0:
        raise FunctionFailed(f"RIGHT takes no negative number of characters: {y}", x)
    return x[-y:] if y else ""


def _substring(x: str, pos: int) -> str:
    if not -len(x) <= pos <= len(x):
        raise FunctionFailed(f"SUBSTRING has no position {pos} in {len(x)} characters", "")
    if not pos:
        return ""
    return x[pos - 1 :] if pos > 0 else x[pos:]


def _substring_of_length(x: str, pos: int, length: int) -> str:
    if length < 0:
        raise FunctionFailed(f"SUBSTRING takes no negative length: {length}", "")
    return _substring(x, pos)[:length]


def _abs(x: int) -> int:
    if x == LEAST:
        raise FunctionFailed(
            f"the absolute value of {x} is not an integer of 32 bits", GREATEST, ErrorType.MATH
        )
    return abs(x)


def _int(x: Value) -> int:
    value = integer_of(x) if isinstance(x, str) else int(x)
    if value is None:
        raise _not_cast(x, Type.INTEGER)
    return value


def _bool(x: Value) -> bool:
    value = boolean_of(x) if isinstance(x, str) else x != 0
    if value is None:
        raise _not_cast(x, Type.BOOLEAN)
    return value


def _is_int(x: Value) -> bool:
    return not isinstance(x, str) or integer_of(x) is not None


def _is_bool(x: Value) -> bool:
    return not isinstance(x, str) or boolean_of(x) is not None


def _not_cast(x: Value, target: Type) -> FunctionFailed:
    shown = string_of(x)
    shown = shown if len(shown) <= MAX_SHOWN else f"{shown[:MAX_SHOWN]}…"
    return FunctionFailed(f"cannot cast '{shown}' to {target}", None, ErrorType.CAST)


_S, _I, _B, _A = Type.STRING, Type.INTEGER, Type.BOOLEAN, Type.ANY

BUILT_IN = Functions(
    (
        Function(name="LENGTH", parameters=(_S,), result=_I, body=len),
        Function(name="CONCAT", parameters=(), rest=_S, result=_S, body=_concat),
        Function(name="CONCAT_WS", parameters=(_S,), rest=_S, result=_S, body=_concat_ws),
        Function(name="LOWER", parameters=(_S,), result=_S, body=str.lower),
        Function(name="UPPER", parameters=(_S,), result=_S, body=str.upper),
        Function(name="TRIM", parameters=(_S,), result=_S, body=_trim),
        Function(name="LEFT", parameters=(_S, _I), result=_S, body=_left),
        Function(name="RIGHT", parameters=(_S, _I), result=_S, body=_right),
        Function(name="SUBSTRING", parameters=(_S, _I), result=_S, body=_substring),
        Function(name="SUBSTRING", parameters=(_S, _I, _I), result=_S, body=_substring_of_length),
        Function(name="ABS", parameters=(_I,), result=_I, body=_abs),
        Function(name="INT", parameters=(_A,), result=_I, body=_int),
        Function(name="BOOL", parameters=(_A,), result=_B, body=_bool),
        Function(name="STRING", parameters=(_A,), result=_S, body=string_of),
        Function(name="IS_INT", parameters=(_A,), result=_B, body=_is_int),
        Function(name="IS_BOOL", parameters=(_A,), result=_B, body=_is_bool),
    )
)
