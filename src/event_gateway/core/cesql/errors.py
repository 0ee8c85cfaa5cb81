"""The errors of CESQL, section 3.3: values beside the result, except for the one of the parser."""

from dataclasses import dataclass
from enum import StrEnum


class ErrorType(StrEnum):
    """The types of errors, in the words of section 3.3."""

    PARSE = "ParseError"
    MATH = "MathError"
    CAST = "CastError"
    MISSING_ATTRIBUTE = "MissingAttributeError"
    MISSING_FUNCTION = "MissingFunctionError"
    FUNCTION_EVALUATION = "FunctionEvaluationError"
    GENERIC = "GenericError"


@dataclass(frozen=True, slots=True)
class ExpressionError:
    """What went wrong in an evaluation, which gives a value all the same.

    ``position`` is the offset in the expression's text, in characters from 0, of the operator, the
    function or the attribute that the error is about.
    """

    type: ErrorType
    message: str
    position: int

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


class ParseError(ValueError):
    """A text that is not an expression of CESQL.

    ``position`` is the offset in the text, in characters from 0, where it stops being one;
    ``line`` and ``column`` are the same place, from 1. ``expected`` names what may stand there;
    empty where the form is right and the content is not, such as an integer of 40 bits.
    """

    type = ErrorType.PARSE

    def __init__(self, reason: str, text: str, position: int, expected: tuple[str, ...]) -> None:
        before = text[:position]
        self.position = position
        self.line = before.count("\n") + 1
        self.column = position - before.rfind("\n")
        self.expected = expected
        self.reason = reason
        super().__init__(f"line {self.line}, column {self.column}: {reason}")
