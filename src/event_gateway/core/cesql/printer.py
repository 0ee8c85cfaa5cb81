"""Makes the canonical text of a tree: upper-case keywords, single spaces, and no parentheses but
those that are needed. Parsing it gives the tree again."""

from event_gateway.core.cesql.casts import string_of
from event_gateway.core.cesql.lexemes import literal_of
from event_gateway.core.cesql.nodes import (
    Attribute,
    Binary,
    Chain,
    Exists,
    FunctionCall,
    In,
    Like,
    Literal,
    Node,
    Prefixed,
    Step,
)


def printed(node: Node) -> str:
    """The text of a tree."""
    if isinstance(node, Literal):
        return literal_of(node.value) if isinstance(node.value, str) else _plain(node.value)
    if isinstance(node, Attribute):
        return node.name
    if isinstance(node, Exists):
        return f"EXISTS {node.name}"
    if isinstance(node, FunctionCall):
        return f"{node.name}({', '.join(map(printed, node.arguments))})"
    if isinstance(node, Prefixed):
        return _prefixed(node)
    first = printed(node.first)
    if isinstance(node.first, Chain) and node.first.level <= node.level:
        first = f"({first})"
    return " ".join([first, *(_step(step, node.level) for step in node.steps)])


def _plain(value: int | bool) -> str:
    return string_of(value).upper()


def _prefixed(node: Prefixed) -> str:
    operand = printed(node.operand)
    # -(5) is an operator and its operand, -5 is a literal.
    number = isinstance(node.operand, Literal) and operand[0].isdigit()
    if isinstance(node.operand, Chain) or (node.operator == "-" and number):
        operand = f"({operand})"
    return f"-{operand}" if node.operator == "-" else f"NOT {operand}"


def _step(step: Step, level: int) -> str:
    if isinstance(step, Binary):
        operand = printed(step.operand)
        if isinstance(step.operand, Chain) and step.operand.level <= level:
            operand = f"({operand})"
        return f"{step.operator} {operand}"
    negation = "NOT " if step.negated else ""
    if isinstance(step, Like):
        return f"{negation}LIKE {literal_of(step.pattern)}"
    assert isinstance(step, In)
    return f"{negation}IN ({', '.join(map(printed, step.elements))})"
