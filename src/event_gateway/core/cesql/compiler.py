"""Compiles a tree to functions that call each other. Only brackets and prefixes nest them, which
the parser bounds; a chain of any length is a loop."""

from dataclasses import dataclass
from typing import Any

from event_gateway.core.cesql import steps
from event_gateway.core.cesql.casts import (
    CASTS,
    MISSING,
    ZERO,
    Errors,
    Type,
    Value,
    type_of,
)
from event_gateway.core.cesql.errors import ErrorType, ExpressionError
from event_gateway.core.cesql.functions import Functions
from event_gateway.core.cesql.invocation import invocation
from event_gateway.core.cesql.leaves import (
    INACCESSIBLE,
    attribute_equals,
    attribute_of,
    cast_literal,
)
from event_gateway.core.cesql.like import effort, matcher
from event_gateway.core.cesql.nodes import (
    COMPARISON,
    LOGIC,
    SUFFIX,
    Attribute,
    Binary,
    Chain,
    Exists,
    FunctionCall,
    Like,
    Literal,
    Node,
    Prefixed,
    Step,
)
from event_gateway.core.cesql.operators import negative
from event_gateway.core.cesql.steps import Apply, Read, Run

REQUIRED = frozenset(("id", "source", "specversion", "type"))  # attributes of every event

_LOGIC = {
    "AND": steps.conjunction, "OR": steps.disjunction, "XOR": steps.exclusive,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Compiled:
    """``run`` gives the value; or MISSING, if ``type`` is None: then it is an attribute, whose type
    is known when it is read. A String is at most ``span`` times as long as all attributes together,
    beside what the expression's own literals add."""

    run: Run
    type: Type | None
    span: int = 0


class Compiler:
    """Compiles one tree. ``cost``: about how often each character of the attributes is read or
    copied by functions and patterns; ``missing`` are the functions that there are not, with their
    arity."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.cost = 0
        self.missing: list[tuple[str, int]] = []
        self.attributes: set[str] = set()

    def compile(self, node: Node) -> Compiled:
        """The function of a tree."""
        if isinstance(node, Literal):
            value = node.value
            return Compiled(lambda read, errors: value, type_of(value))
        if isinstance(node, Attribute):
            self.attributes.add(node.name)
            return Compiled(attribute_of(node), None, 1)
        if isinstance(node, Exists):
            return Compiled(self._exists(node.name), Type.BOOLEAN)
        if isinstance(node, Prefixed):
            return self._prefixed(node)
        if isinstance(node, FunctionCall):
            return self._call(node)
        return self._chain(node)

    def _operand(self, node: Node, target: Type, position: int) -> Run:
        """A function that gives a value of the target type, or MISSING of an attribute."""
        compiled = self.compile(node)
        run, cast = compiled.run, CASTS[target]
        if target in (Type.ANY, compiled.type):
            return run
        if isinstance(node, Literal):
            return cast_literal(node.value, target, position)
        if compiled.type is not None:
            return lambda read, errors: cast(run(read, errors), errors, position)
        class_ = steps.CLASSES[target]

        def operand(read: Read, errors: Errors) -> Any:
            value = run(read, errors)
            if value.__class__ is class_ or value is MISSING:
                return value
            return cast(value, errors, position)

        return operand

    def _exists(self, name: str) -> Run:
        self.attributes.add(name)
        if name in REQUIRED or name == INACCESSIBLE:
            there = name in REQUIRED
            return lambda read, errors: there
        return lambda read, errors: read(name) is not None

    def _prefixed(self, node: Prefixed) -> Compiled:
        position = node.position
        if node.operator == "NOT":
            operand = self._operand(node.operand, Type.BOOLEAN, position)
            return Compiled(lambda read, errors: operand(read, errors) is False, Type.BOOLEAN)
        operand = self._operand(node.operand, Type.INTEGER, position)

        def minus(read: Read, errors: Errors) -> Any:
            value = operand(read, errors)
            return 0 if value is MISSING else negative(value, errors, position)

        return Compiled(minus, Type.INTEGER)

    def _call(self, node: FunctionCall) -> Compiled:
        arity = len(node.arguments)
        function = self._functions.find(node.name, arity)
        if function is None:
            return self._missing_function(node)
        types = function.parameters
        if function.rest is not None:
            types += (function.rest,) * (arity - len(types))
        span, arguments = 0, []
        for argument, type_ in zip(node.arguments, types, strict=True):
            arguments.append(self._operand(argument, type_, node.position))
            span += self._span(argument)
        self.cost += 4 * span
        run = invocation(function, arguments, node.position)
        return Compiled(run, function.result, span if function.result is Type.STRING else 0)

    def _missing_function(self, node: FunctionCall) -> Compiled:
        arity = len(node.arguments)
        self.missing.append((node.name, arity))
        if node.name in self._functions:
            reason = f"{node.name} does not take {arity} argument{'' if arity == 1 else 's'}"
        else:
            reason = f"there is no function {node.name}"
        error = ExpressionError(ErrorType.MISSING_FUNCTION, reason, node.position)

        def missing(read: Read, errors: Errors) -> Any:
            errors.append(error)
            return False

        return Compiled(missing, Type.BOOLEAN)

    def _span(self, node: Node) -> int:
        if isinstance(node, Attribute):
            return 1
        if isinstance(node, FunctionCall):
            function = self._functions.find(node.name, len(node.arguments))
            if function is not None and function.result is Type.STRING:
                return sum(map(self._span, node.arguments))
        return 0

    # chains

    def _chain(self, node: Chain) -> Compiled:
        type_ = Type.BOOLEAN if node.level in (LOGIC, COMPARISON, SUFFIX) else Type.INTEGER
        if node.level == LOGIC and (run := self._homogeneous(node)) is not None:
            return Compiled(run, type_)
        if (run := attribute_equals(node)) is not None:
            assert isinstance(node.first, Attribute)
            self.attributes.add(node.first.name)
            return Compiled(run, type_)
        first = self.compile(node.first).run
        span = self._span(node.first)
        applied = []
        for step in node.steps:
            applied.append(self._step(step, node.level, span))
            span = 0
        if len(applied) == 1:
            apply = applied[0]
            return Compiled(lambda read, errors: apply(first(read, errors), read, errors), type_)

        def run_all(read: Read, errors: Errors) -> Any:
            value = first(read, errors)
            for apply in applied:
                value = apply(value, read, errors)
            return value

        return Compiled(run_all, type_)

    def _homogeneous(self, node: Chain) -> Run | None:
        """A chain of nothing but AND, or nothing but OR; None if it is not one."""
        operators = {step.operator for step in node.steps if isinstance(step, Binary)}
        if operators not in ({"AND"}, {"OR"}):
            return None
        # Each operand is cast where it is first used: as the left one by the first step.
        positions = [step.position for step in node.steps]
        operands = [
            self._operand(part, Type.BOOLEAN, position)
            for part, position in zip(
                (node.first, *(step.operand for step in node.steps if isinstance(step, Binary))),
                (positions[0], *positions),
                strict=True,
            )
        ]

        def all_true(read: Read, errors: Errors) -> Any:
            for operand in operands:  # noqa: SIM110 - faster than all()
                if operand(read, errors) is not True:
                    return False
            return True

        first, second, *others = operands

        def any_true(read: Read, errors: Errors) -> Any:
            left = first(read, errors)
            if left is True:
                return True
            # With a missing attribute on the left the first OR is false, whatever is on the right.
            if second(read, errors) is True and left is not MISSING:
                return True
            return any(operand(read, errors) is True for operand in others)

        return all_true if operators == {"AND"} else any_true

    def _step(self, step: Step, level: int, span: int) -> Apply:
        """``span`` of the operand on the left."""
        position = step.position
        if isinstance(step, Like):
            self.cost += effort(step.pattern) * span
            return steps.likeness(matcher(step.pattern), position, negated=step.negated)
        if not isinstance(step, Binary):
            values = [each.value for each in step.elements if isinstance(each, Literal)]
            if len(values) == len(step.elements):
                return steps.membership_of_literals(values, position, negated=step.negated)
            elements = [self.compile(element).run for element in step.elements]
            return steps.membership(elements, position, negated=step.negated)
        operator = step.operator
        if level == LOGIC:
            operand = self._operand(step.operand, Type.BOOLEAN, position)
            return _LOGIC[operator](operand, position)
        if operator in ("=", "!="):
            right = self.compile(step.operand)
            return steps.equality(right.run, right.type, position, equal=operator == "=")
        operand = self._operand(step.operand, Type.INTEGER, position)
        build = steps.comparison if level == COMPARISON else steps.arithmetic
        return build(operator, operand, position)


def zero_of(type_: Type | None) -> Value:
    """The zero value of an expression's type; false where it is not known, section 3.2."""
    return False if type_ is None else ZERO[type_]
