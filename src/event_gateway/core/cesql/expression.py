"""Expressions: parsed, compiled, and evaluated for events."""

from collections.abc import Callable, Mapping
from typing import Any

from event_gateway.core.cesql.built_in import BUILT_IN
from event_gateway.core.cesql.casts import MISSING, Type, Value
from event_gateway.core.cesql.compiler import Compiler, zero_of
from event_gateway.core.cesql.conjuncts import Required, conjuncts, required
from event_gateway.core.cesql.errors import ExpressionError
from event_gateway.core.cesql.functions import Functions
from event_gateway.core.cesql.leaves import is_inaccessible
from event_gateway.core.cesql.nodes import LOGIC, Binary, Chain, Literal, Node
from event_gateway.core.cesql.parser import MAX_LENGTH, parse_tree
from event_gateway.core.cesql.printer import printed


def parse(
    text: str, *, functions: Functions = BUILT_IN, max_length: int = MAX_LENGTH
) -> "Expression":
    """The expression of a text, ready to be evaluated.

    ``functions`` are those that it can call. Raises ParseError: where the text is not an
    expression, is longer than ``max_length`` characters, or is nested more than MAX_DEPTH deep.
    """
    return Expression(text, parse_tree(text, max_length), functions)


class Expression:
    """An expression of CESQL.

    ``text`` is what was parsed, ``str(expression)`` its canonical form. Two expressions are equal
    if they have the same canonical form and functions.
    """

    __slots__ = ("_compiler", "_functions", "_run", "text", "tree", "type")

    def __init__(self, text: str, tree: Node, functions: Functions) -> None:
        self.text = text
        self.tree = tree
        self._functions = functions
        self._compiler = Compiler(functions)
        compiled = self._compiler.compile(tree)
        self._run = compiled.run
        self.type: Type | None = compiled.type
        """The type of all its values; None for a single attribute, which may be of any type."""

    def evaluate(
        self, event: Mapping[str, Any], *, fail_fast: bool = False
    ) -> tuple[Value, list[ExpressionError]]:
        """The value for an event, and the errors in the order in which they came up.

        ``event`` has the attributes by their names: str, int and bool are String, Integer and
        Boolean; everything else, and an int of more than 32 bits, is a String; None is no
        attribute. A member ``data`` is never read. An evaluation goes on after an error; with
        ``fail_fast`` it ends with the first one and the zero value (section 4.1). It raises
        nothing.
        """
        return self.evaluate_with(event.get, fail_fast=fail_fast)

    def evaluate_with(
        self, attribute: Callable[[str], Any], *, fail_fast: bool = False
    ) -> tuple[Value, list[ExpressionError]]:
        """The same, for an event that is not a mapping: ``attribute`` gives the value of a name,
        and None if there is none."""
        errors: list[ExpressionError] = _FirstError() if fail_fast else []
        try:
            value = self._run(attribute, errors)
        except _Interrupted:
            return zero_of(self.type), errors
        return (False if value is MISSING else value), errors

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Whether an event passes the expression as a filter: the value is the Boolean true, and
        there is no error (section 1.2)."""
        value, errors = self.evaluate_with(event.get, fail_fast=True)
        return value is True and not errors

    @property
    def attributes(self) -> frozenset[str]:
        """The names of the attributes that it uses."""
        return frozenset(self._compiler.attributes)

    @property
    def inaccessible(self) -> frozenset[str]:
        """Those of them that no event can have: ``data``, and names with upper-case letters."""
        return frozenset(filter(is_inaccessible, self._compiler.attributes))

    @property
    def missing_functions(self) -> tuple[tuple[str, int], ...]:
        """Names and numbers of arguments of the calls for which there is no function: evaluating
        them gives a MissingFunctionError."""
        return tuple(self._compiler.missing)

    @property
    def cost(self) -> int:
        """About how often an evaluation reads or copies each character of the attributes that it
        uses, at most. Multiply it with the characters of an event's attributes to bound the time: a
        unit takes a few nanoseconds."""
        return self._compiler.cost

    @property
    def conjuncts(self) -> tuple["Expression", ...]:
        """The operands of its outermost ANDs: it passes an event if and only if all of them do."""
        parts = tuple(conjuncts(self.tree))
        return tuple(self._part(part, alone=len(parts) == 1) for part in parts)

    def _part(self, part: Node, *, alone: bool) -> "Expression":
        expression = Expression(printed(part), part, self._functions)
        if alone or expression.type is Type.BOOLEAN:
            return expression
        # AND casts its operands, a filter does not.
        both = Chain(LOGIC, part, (Binary("AND", Literal(True)),))
        return Expression(printed(both), both, self._functions)

    @property
    def required(self) -> tuple[Required, ...]:
        """Attributes that must have one of some values for an event to pass, for an index."""
        return tuple(required(self.tree))

    def __str__(self) -> str:
        return printed(self.tree)

    def __repr__(self) -> str:
        return f"<Expression {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Expression):
            return NotImplemented
        return str(self) == str(other) and self._functions is other._functions

    def __hash__(self) -> int:
        return hash(str(self))


class _Interrupted(Exception):
    """The first error of an evaluation that ends with it."""


class _FirstError(list[ExpressionError]):
    """Errors, of which there is no second."""

    def append(self, error: ExpressionError) -> None:
        super().append(error)
        raise _Interrupted
