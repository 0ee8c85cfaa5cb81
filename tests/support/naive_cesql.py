"""CESQL evaluated as one would write it down: node by node, with no care for speed."""

import operator
from typing import Any

from event_gateway.core.cesql import nodes
from event_gateway.core.cesql.built_in import BUILT_IN
from event_gateway.core.cesql.casts import Type
from event_gateway.core.cesql.functions import FunctionFailed

LEAST, GREATEST = -(2**31), 2**31 - 1


class Absent:
    """A missing attribute."""


def evaluate(node: nodes.Node, event: dict[str, Any]) -> tuple[Any, list[str]]:
    """The value, and the types of the errors, sorted."""
    errors: list[str] = []
    value = _value(node, event, errors)
    return (False if isinstance(value, Absent) else value), sorted(errors)


def like(text: str, pattern: list[str]) -> bool:
    """Whether a text matches a pattern, whose entries are ``%``, ``_`` or an escaped character."""
    reached = {0}
    for entry in pattern:
        if entry == "%":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {
                place + 1
                for place in reached
                if place < len(text) and (entry == "_" or text[place] == entry[-1])
            }
    return len(text) in reached


def entries(pattern: str) -> list[str]:
    """The entries of a pattern for :func:`like`."""
    out: list[str] = []
    for character in pattern:
        if out and out[-1] == "\\" and character in "%_":
            out[-1] += character
        else:
            out.append(character)
    return out


def _value(node: nodes.Node, event: dict[str, Any], errors: list[str]) -> Any:
    if isinstance(node, nodes.Literal):
        return node.value
    if isinstance(node, nodes.Exists):
        return node.name != "data" and (
            node.name in ("id", "source", "type", "specversion") or event.get(node.name) is not None
        )
    if isinstance(node, nodes.Attribute):
        value = None if node.name == "data" else event.get(node.name)
        if value is None:
            errors.append("MissingAttributeError")
            return Absent()
        return value
    if isinstance(node, nodes.Prefixed):
        operand = _value(node.operand, event, errors)
        if isinstance(operand, Absent):
            return False if node.operator == "NOT" else 0
        if node.operator == "NOT":
            return not cast(operand, bool, errors)
        return _bounded(-cast(operand, int, errors), errors)
    if isinstance(node, nodes.FunctionCall):
        return _call(node, event, errors)
    value = _value(node.first, event, errors)
    for step in node.steps:
        value = _step(value, step, event, errors)
    return value


def _call(node: nodes.FunctionCall, event: dict[str, Any], errors: list[str]) -> Any:
    function = BUILT_IN.find(node.name, len(node.arguments))
    if function is None:
        errors.append("MissingFunctionError")
        return False
    zero = {Type.STRING: "", Type.INTEGER: 0, Type.BOOLEAN: False}[function.result]
    types = [*function.parameters, *[function.rest] * len(node.arguments)]
    wanted = {Type.STRING: str, Type.INTEGER: int, Type.BOOLEAN: bool}
    values = []
    for argument, type_ in zip(node.arguments, types, strict=False):
        value = _value(argument, event, errors)
        if type_ in wanted and not isinstance(value, Absent):
            value = cast(value, wanted[type_], errors)
        values.append(value)
    if any(isinstance(value, Absent) for value in values):
        return zero
    try:
        return function.body(*values)
    except FunctionFailed as failed:
        errors.append(failed.type)
        return zero if failed.value is None else failed.value


def _step(left: Any, step: nodes.Step, event: dict[str, Any], errors: list[str]) -> Any:
    if isinstance(step, nodes.Like):
        if isinstance(left, Absent):
            return False
        return like(cast(left, str, errors), entries(step.pattern)) is not step.negated
    if isinstance(step, nodes.In):
        values = [_value(element, event, errors) for element in step.elements]
        if isinstance(left, Absent) or any(isinstance(value, Absent) for value in values):
            return False
        equal = [cast(value, type(left), errors) == left for value in values]
        return any(equal) is not step.negated
    if step.operator in ("AND", "OR", "XOR"):
        return _logic(left, step, event, errors)
    right = _value(step.operand, event, errors)
    arithmetic = step.operator in "+-*/%"
    if isinstance(left, Absent) or isinstance(right, Absent):
        if step.operator not in ("=", "!="):
            for operand in (left, right):
                if not isinstance(operand, Absent):
                    cast(operand, int, errors)
        return 0 if arithmetic else False
    if step.operator in ("=", "!="):
        return (cast(left, type(right), errors) == right) is (step.operator == "=")
    left, right = cast(left, int, errors), cast(right, int, errors)
    if not arithmetic:
        compare = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
        return compare[step.operator](left, right)
    return _calculated(left, step.operator, right, errors)


def _calculated(left: int, symbol: str, right: int, errors: list[str]) -> int:
    if symbol in "/%" and right == 0:
        errors.append("MathError")
        return 0
    quotient = 0 if right == 0 else int(abs(left) // abs(right)) * (1 if left * right >= 0 else -1)
    return _bounded(
        {
            "+": left + right, "-": left - right, "*": left * right,
            "/": quotient, "%": left - quotient * right,
        }[symbol],
        errors,
    )  # fmt: skip


def _logic(left: Any, step: nodes.Binary, event: dict[str, Any], errors: list[str]) -> bool:
    absent = isinstance(left, Absent)
    truth = False if absent else cast(left, bool, errors)
    if (step.operator, truth) in (("AND", False), ("OR", True)):
        return truth
    right = _value(step.operand, event, errors)
    if isinstance(right, Absent):
        return False
    right = cast(right, bool, errors)
    if absent:
        return False
    results: dict[str, bool] = {"AND": truth and right, "OR": truth or right, "XOR": truth != right}
    return results[step.operator]


def cast(value: Any, target: type, errors: list[str]) -> Any:
    """The value as one of the three types."""
    if type(value) is target:
        return value
    if target is str:
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return target(value)
    if target is bool:
        if value.lower() in ("true", "false"):
            return value.lower() == "true"
    else:
        digits = value[1:] if value[:1] in ("+", "-") else value
        if digits and set(digits) <= set("0123456789") and len(digits.lstrip("0")) <= 10:
            number = int(digits.lstrip("0") or "0") * (-1 if value[0] == "-" else 1)
            if LEAST <= number <= GREATEST:
                return number
    errors.append("CastError")
    return target()


def _bounded(result: int, errors: list[str]) -> int:
    if LEAST <= result <= GREATEST:
        return result
    errors.append("MathError")
    return 0
