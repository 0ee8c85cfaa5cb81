"""Calls of functions, section 3.5."""

from typing import Any

from event_gateway.core.cesql.casts import MISSING, ZERO, Errors, Value, is_value
from event_gateway.core.cesql.errors import ErrorType, ExpressionError
from event_gateway.core.cesql.functions import Function, FunctionFailed
from event_gateway.core.cesql.steps import Read, Run


def invocation(function: Function, arguments: list[Run], position: int) -> Run:
    """A function that reads the arguments, calls the body, and checks what it gives.

    With a missing attribute among the arguments, the body is not called.
    """
    body, result, zero = function.body, function.result, ZERO[function.result]

    def call(read: Read, errors: Errors) -> Any:
        values = []
        missing = False
        for argument in arguments:
            value = argument(read, errors)
            missing = missing or value is MISSING
            values.append(value)
        if missing:
            return zero
        try:
            given = body(*values)
        except Exception as error:
            given = _fault(function, error, errors, position)
        return given if is_value(given, result) else _no_value(function, errors, position)

    return call


def _fault(function: Function, error: Exception, errors: Errors, position: int) -> Value:
    if isinstance(error, FunctionFailed):
        kind, message, value = error.type, error.message, error.value
    else:
        kind, value = ErrorType.FUNCTION_EVALUATION, None
        message = f"{function.name.upper()} failed with {type(error).__name__}"
    errors.append(ExpressionError(kind, message, position))
    if value is not None and is_value(value, function.result):
        return value
    return ZERO[function.result]


def _no_value(function: Function, errors: Errors, position: int) -> Value:
    errors.append(
        ExpressionError(
            ErrorType.FUNCTION_EVALUATION,
            f"{function.name.upper()} gave no {function.result}",
            position,
        )
    )
    return ZERO[function.result]
