"""Conditions in CESQL, as the ``sql`` dialect of CloudEvents filters has them."""

from functools import lru_cache

from event_gateway.core.cesql.casts import type_of
from event_gateway.core.cesql.conjuncts import Required
from event_gateway.core.cesql.errors import ExpressionError, ParseError
from event_gateway.core.cesql.expression import Expression, parse
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.matching.evaluation import EvaluationError, charge


class SqlCondition:
    """A compiled condition. Raises ValueError where a text is not CESQL, with the place."""

    __slots__ = ("expression", "key", "text")

    def __init__(self, text: str) -> None:
        try:
            self.expression: Expression = parse(text)
        except ParseError as error:
            raise ValueError(f"is not valid CESQL: {error}") from None
        self.text = text
        self.key = ("sql", text)

    def holds(self, received: Received) -> bool:
        """Whether it is true for an event. Raises EvaluationError where there is an error, or where
        the value is not Boolean (CESQL 1.0, section 1.2)."""
        return _holds(self.expression, received)

    @property
    def required(self) -> tuple[Required, ...]:
        """The attributes that must have one of some texts for it to hold."""
        return self.expression.required

    def failing(self, received: Received) -> tuple[Expression, EvaluationError | None] | None:
        """The first of its parts that does not hold, and the error if there is one."""
        for part in self.expression.conjuncts:
            try:
                if not _holds(part, received):
                    return part, None
            except EvaluationError as error:
                return part, error
        return None


@lru_cache(maxsize=4096)
def sql_condition_of(text: str) -> SqlCondition:
    """The compiled condition of a text; equal texts share one. Raises ValueError."""
    return SqlCondition(text)


def sql_value(text: str, received: Received) -> tuple[str | int | bool, list[ExpressionError]]:
    """The value of any expression in CESQL for an event, and all errors. Raises ParseError, and
    EvaluationError where it costs too much."""
    expression = parse(text)
    _check_cost(expression, received)
    return expression.evaluate_with(received.event.attribute)


def _holds(expression: Expression, received: Received) -> bool:
    if expression.cost:
        _check_cost(expression, received)
    value, errors = expression.evaluate_with(received.event.attribute, fail_fast=True)
    if errors:
        raise EvaluationError(str(errors[0].type), errors[0].message)
    if value is True or value is False:
        return value
    raise EvaluationError("GenericError", f"gives {type_of(value)}, not true or false")


def _check_cost(expression: Expression, received: Received) -> None:
    size = received.attribute_size
    if size is None:
        size = received.attribute_size = _size(received.event)
    if not charge(received, expression.cost * size):
        raise EvaluationError(
            "GenericError",
            f"too costly for an event with {size} characters of attributes, or other expressions "
            "have used what all of them together may cost",
        )


def _size(event: Event) -> int:
    """The characters of all attributes, about."""
    texts = (event.id, event.source, event.type, event.subject, event.time, event.datacontenttype,
             event.dataschema, *event.extensions.values())  # fmt: skip
    return sum(len(text) if isinstance(text, str) else 12 for text in texts if text is not None)
