"""CESQL, the CloudEvents SQL expression language 1.0.

    >>> from event_gateway.cesql import parse
    >>> expression = parse("type LIKE 'order.%' AND priority > 3")
    >>> expression.evaluate({"type": "order.paid", "priority": "5"})
    (True, [])

It needs nothing but the standard library, and nothing else of the gateway. The page for its users
is ``docs/guides/cesql.md``.
"""

from event_gateway.core.cesql.built_in import BUILT_IN
from event_gateway.core.cesql.casts import Type, Value
from event_gateway.core.cesql.conjuncts import Required
from event_gateway.core.cesql.errors import ErrorType, ExpressionError, ParseError
from event_gateway.core.cesql.expression import Expression, parse
from event_gateway.core.cesql.functions import Function, FunctionFailed, Functions
from event_gateway.core.cesql.parser import MAX_DEPTH, MAX_LENGTH

__all__ = [
    "BUILT_IN", "MAX_DEPTH", "MAX_LENGTH", "ErrorType", "Expression", "ExpressionError", "Function",
    "FunctionFailed", "Functions", "ParseError", "Required", "Type", "Value", "parse",
]  # fmt: skip
