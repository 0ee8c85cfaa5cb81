"""The conditions that must hold for an expression to be true: for an index, and to tell which
fails."""

from collections.abc import Iterator
from typing import NamedTuple

from event_gateway.core.cesql.casts import boolean_of, integer_of
from event_gateway.core.cesql.leaves import is_inaccessible
from event_gateway.core.cesql.nodes import (
    COMPARISON,
    LOGIC,
    SUFFIX,
    Attribute,
    Binary,
    Chain,
    In,
    Literal,
    Node,
)


class Required(NamedTuple):
    """An expression is true without errors only for events whose attribute, as text, is one of
    these values. The text of an Integer is decimal, that of a Boolean ``true`` or ``false``."""

    attribute: str
    values: tuple[str, ...]


def conjuncts(node: Node) -> Iterator[Node]:
    """The operands of the outermost ANDs, left to right. The expression is true if and only if they
    all are."""
    if not isinstance(node, Chain) or node.level != LOGIC:
        yield node
        return
    # Of ((a OR b) AND c) AND d, which is a OR b AND c AND d, these are a OR b, c and d.
    split = len(node.steps)
    while split and getattr(node.steps[split - 1], "operator", "") == "AND":
        split -= 1
    if split:
        yield Chain(LOGIC, node.first, node.steps[:split])
    else:
        yield from conjuncts(node.first)
    for step in node.steps[split:]:
        if isinstance(step, Binary):
            yield from conjuncts(step.operand)


def required(node: Node) -> Iterator[Required]:
    """The attributes that must have one of some values, of ``name = 'text'`` and
    ``name IN ('text', …)`` among the conjuncts."""
    for part in conjuncts(node):
        if not (isinstance(part, Chain) and len(part.steps) == 1):
            continue
        name, step = part.first, part.steps[0]
        if not isinstance(name, Attribute) or is_inaccessible(name.name):
            continue
        if part.level == COMPARISON and isinstance(step, Binary) and step.operator == "=":
            if isinstance(step.operand, Literal) and isinstance(step.operand.value, str):
                yield Required(name.name, (step.operand.value,))
        elif part.level == SUFFIX and isinstance(step, In) and not step.negated:
            texts = tuple(
                each.value
                for each in step.elements
                if isinstance(each, Literal) and isinstance(each.value, str)
            )
            if len(texts) == len(step.elements) and all(map(_is_canonical, texts)):
                yield Required(name.name, tuple(dict.fromkeys(texts)))


def _is_canonical(text: str) -> bool:
    """Whether an attribute that is an Integer or a Boolean is equal to a text only if it has that
    text: IN casts the text to its type."""
    number, truth = integer_of(text), boolean_of(text)
    return (number is None or text == str(number)) and (truth is None or text in ("true", "false"))
