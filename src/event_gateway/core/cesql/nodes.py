"""The tree of an expression.

Operators of equal precedence are evaluated left to right (section 3.6), so a :class:`Chain` has
them side by side: a tree is as deep as the brackets and the prefixes of its text, and never as its
length. Parentheses leave no node. ``position`` is the offset in the text, which makes no difference
between two trees.
"""

from dataclasses import dataclass, field

from event_gateway.core.cesql.casts import Value


@dataclass(frozen=True, slots=True)
class Literal:
    """A String, an Integer or a Boolean."""

    value: Value
    position: int = field(default=0, compare=False)

    def __eq__(self, other: object) -> bool:
        """In Python True equals 1; here they are two values."""
        if not isinstance(other, Literal):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the event."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS name``."""

    name: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Prefixed:
    """``NOT x`` or ``-x``; ``operator`` is one of these two."""

    operator: str
    operand: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A function's name in upper case, and its arguments."""

    name: str
    arguments: tuple["Node", ...]
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """``… operator operand``. ``<>`` is written ``!=``."""

    operator: str
    operand: "Node"
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Like:
    """``… LIKE 'pattern'``, or with NOT."""

    pattern: str
    negated: bool = False
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """``… IN (element, …)``, or with NOT."""

    elements: tuple["Node", ...]
    negated: bool = False
    position: int = field(default=0, compare=False)


Step = Binary | Like | In


@dataclass(frozen=True, slots=True)
class Chain:
    """``first``, then steps of one level of precedence, each with the result so far on its left."""

    level: int
    first: "Node"
    steps: tuple[Step, ...]


Node = Literal | Attribute | Exists | Prefixed | FunctionCall | Chain

# Levels of precedence, section 3.6. Functions bind tighter than all of them, prefixes than chains.
LOGIC, COMPARISON, SUM, PRODUCT, SUFFIX, PREFIX = range(1, 7)
LEVELS: dict[str, int] = {
    "AND": LOGIC, "OR": LOGIC, "XOR": LOGIC,
    "=": COMPARISON, "!=": COMPARISON, "<>": COMPARISON,
    ">=": COMPARISON, "<=": COMPARISON, "<": COMPARISON, ">": COMPARISON,
    "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "%": PRODUCT,
}  # fmt: skip
KEYWORDS = frozenset(("AND", "OR", "XOR", "NOT", "LIKE", "IN", "EXISTS", "TRUE", "FALSE"))
