"""Makes a tree of a text: an operator-precedence parser with a stack of its own, so that no nesting
exhausts the interpreter's. Each lexeme is looked at once."""

from dataclasses import dataclass, field

from event_gateway.core.cesql.casts import integer_of
from event_gateway.core.cesql.errors import ParseError
from event_gateway.core.cesql.lexemes import END, STRING, SYMBOL, WORD, Lexeme, Lexemes, text_of
from event_gateway.core.cesql.nodes import (
    KEYWORDS,
    LEVELS,
    PREFIX,
    SUFFIX,
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

MAX_LENGTH = 16_384  # characters
MAX_DEPTH = 100  # of brackets, prefixes and operators within each other

_OPERAND = ("a literal", "an attribute", "a function", "NOT", "-", "(")
_OPERATOR = ("an operator",)
_SYMBOLS = frozenset("-(),")


@dataclass(slots=True)
class _OpenChain:
    """A chain that may get more steps."""

    level: int
    first: Node
    steps: list[Step]


@dataclass(slots=True)
class _Operator:
    """A prefix or a binary operator whose right operand is not complete."""

    level: int
    name: str
    position: int


@dataclass(slots=True)
class _Bracket:
    """An open bracket. ``owner``: ``(``, the name of a function, or ``IN``; of the latter two the
    items are collected."""

    owner: str
    position: int
    negated: bool = False
    items: list[Node] = field(default_factory=list)
    height: int = 0


def parse_tree(text: str, max_length: int = MAX_LENGTH) -> Node:
    """The tree of an expression. Raises ParseError."""
    if len(text) > max_length:
        raise ParseError(f"longer than {max_length} characters", text, max_length, ())
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ParseError("half of a surrogate pair", text, error.start, ()) from None
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._lexemes = Lexemes(text)
        self._operands: list[tuple[Node | _OpenChain, int]] = []  # with the heights of their trees
        self._pending: list[_Operator | _Bracket] = []
        self._depth = 0

    def parse(self) -> Node:
        while True:
            self._read_operand()
            if self._read_operators():
                return self._pop()[0]

    # operands

    def _read_operand(self) -> None:
        """Reads prefixes and opening brackets, until an operand is complete."""
        while True:
            lexeme = self._lexemes.take()
            if lexeme.kind == STRING:
                return self._push(Literal(text_of(lexeme.text), lexeme.position))
            if lexeme.kind == WORD:
                if self._read_word(lexeme):
                    return
            elif lexeme.text == "(":
                self._open(_Bracket("(", lexeme.position))
            elif lexeme.text in ("-", "+") and self._is_signed(lexeme):
                digits = self._lexemes.take()
                return self._push(self._integer(lexeme.text + digits.text, lexeme))
            elif lexeme.text == "-":
                self._open(_Operator(PREFIX, "-", lexeme.position))
            else:
                raise self._unexpected(lexeme, _OPERAND)

    def _read_word(self, lexeme: Lexeme) -> bool:
        """Whether the word completes an operand."""
        name = lexeme.text.upper()
        if name == "NOT":
            self._open(_Operator(PREFIX, "NOT", lexeme.position))
            return False
        if name == "EXISTS":
            self._push(Exists(self._existing(), lexeme.position))
        elif name in ("TRUE", "FALSE"):
            self._push(Literal(name == "TRUE", lexeme.position))
        elif name in KEYWORDS:
            raise self._unexpected(lexeme, _OPERAND)
        elif name.isdigit():
            self._push(self._integer(lexeme.text, lexeme))
        elif self._lexemes.peek().text == "(":
            return self._begin_call(lexeme, name)
        elif "_" in name:
            raise self._error(
                f"{lexeme.shown} is not an attribute, whose name is of a-z and 0-9; "
                "a function has its arguments in parentheses", lexeme, ("(",)
            )  # fmt: skip
        else:
            self._push(Attribute(lexeme.text, lexeme.position))
        return True

    def _begin_call(self, lexeme: Lexeme, name: str) -> bool:
        """Whether the function has no arguments, which completes it."""
        if not name.replace("_", "").isalpha() or name[0] == "_":
            raise self._error(
                f"{lexeme.shown} is not a function, whose name is of letters and _", lexeme, ()
            )
        self._lexemes.take()
        if self._lexemes.peek().text == ")":
            self._lexemes.take()
            self._push(FunctionCall(name, (), lexeme.position))
            return True
        self._open(_Bracket(name, lexeme.position))
        return False

    def _existing(self) -> str:
        lexeme = self._lexemes.take()
        name = lexeme.text
        # Where only an attribute may stand, one that is named like a keyword is an attribute.
        lower = name.isascii() and name.isalnum() and name == name.lower()
        if lexeme.kind != WORD or "_" in name or (name.upper() in KEYWORDS and not lower):
            raise self._unexpected(lexeme, ("the name of an attribute",))
        return name

    def _is_signed(self, sign: Lexeme) -> bool:
        """Whether a sign belongs to the integer literal that follows it."""
        lexeme = self._lexemes.peek()
        return (
            lexeme.kind == WORD and lexeme.text.isdigit() and lexeme.position == sign.position + 1
        )

    def _integer(self, text: str, lexeme: Lexeme) -> Literal:
        value = integer_of(text)
        if value is None:
            raise self._error("the integer is not one of 32 bits", lexeme, ())
        return Literal(value, lexeme.position)

    # operators

    def _read_operators(self) -> bool:
        """Reads what follows an operand, until another operand must follow; True at the end."""
        while True:
            lexeme = self._lexemes.take()
            name = lexeme.text.upper() if lexeme.kind == WORD else lexeme.text
            if lexeme.kind == END:
                if (bracket := self._reduce_to_bracket()) is not None:
                    raise self._missing(lexeme, bracket)
                return True
            if lexeme.kind != STRING and name in LEVELS:
                level = LEVELS[name]
                self._reduce(level)
                name = "!=" if name == "<>" else name
                self._pending.append(_Operator(level, name, lexeme.position))
                return False
            if lexeme.kind == SYMBOL and name == ")":
                self._close(lexeme)
            elif lexeme.kind == SYMBOL and name == ",":
                bracket = self._reduce_to_bracket()
                if bracket is None or bracket.owner == "(":
                    raise self._missing(lexeme, bracket)
                self._collect(bracket)
                return False
            elif lexeme.kind == WORD and name in ("NOT", "LIKE", "IN"):
                if self._read_suffix(lexeme, name):
                    return False
            else:
                self._reduce_to_bracket()
                raise self._missing(lexeme, self._bracket())

    def _read_suffix(self, lexeme: Lexeme, name: str) -> bool:
        """``[NOT] LIKE 'pattern'`` or ``[NOT] IN (``; True if the elements follow."""
        self._reduce(PREFIX)
        negated = name == "NOT"
        if negated:
            following = self._lexemes.take()
            name = following.text.upper()
            if following.kind != WORD or name not in ("LIKE", "IN"):
                raise self._unexpected(following, ("LIKE", "IN"))
        following = self._lexemes.take()
        if name == "LIKE":
            if following.kind != STRING:
                raise self._unexpected(following, ("a string literal",))
            self._append(SUFFIX, Like(text_of(following.text), negated, lexeme.position), 0)
            return False
        if following.text != "(":
            raise self._unexpected(following, ("(",))
        self._open(_Bracket("IN", lexeme.position, negated))
        return True

    def _close(self, lexeme: Lexeme) -> None:
        bracket = self._reduce_to_bracket()
        if bracket is None:
            raise self._unexpected(lexeme, (*_OPERATOR, "the end"))
        self._pending.pop()
        self._depth -= 1
        if bracket.owner == "(":
            return
        self._collect(bracket)
        items, height = tuple(bracket.items), bracket.height
        if bracket.owner == "IN":
            self._append(SUFFIX, In(items, bracket.negated, bracket.position), height)
        else:
            self._push(FunctionCall(bracket.owner, items, bracket.position), height + 1)

    def _collect(self, bracket: _Bracket) -> None:
        item, height = self._pop()
        bracket.items.append(item)
        bracket.height = max(bracket.height, height)

    # the two stacks

    def _push(self, operand: Node, height: int = 1) -> None:
        self._operands.append((operand, self._low(height)))

    def _pop(self) -> tuple[Node, int]:
        operand, height = self._operands.pop()
        if isinstance(operand, _OpenChain):
            operand = Chain(operand.level, operand.first, tuple(operand.steps))
        return operand, height

    def _low(self, height: int) -> int:
        """The height of a tree, which the functions that walk it can bear."""
        if height > MAX_DEPTH:
            raise self._too_deep(self._lexemes.last)
        return height

    def _open(self, entry: _Operator | _Bracket) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep(entry.position)
        self._pending.append(entry)

    def _append(self, level: int, step: Step, height: int) -> None:
        """Adds a step, whose tree has a height, to the last operand. Parentheses around the left
        operand mean nothing where its level is the same."""
        operand, first = self._operands[-1]
        if isinstance(operand, _OpenChain) and operand.level == level:
            height = max(first, height + 1)
        else:
            operand, first = self._pop()
            operand, height = _OpenChain(level, operand, []), max(first, height) + 1
            self._operands.append((operand, height))
        operand.steps.append(step)
        self._operands[-1] = (operand, self._low(height))

    def _reduce(self, level: int) -> None:
        """Completes the pending operators that bind at least as tightly."""
        while self._pending:
            operator = self._pending[-1]
            if isinstance(operator, _Bracket) or operator.level < level:
                return
            self._pending.pop()
            operand, height = self._pop()
            if operator.level == PREFIX:
                self._depth -= 1
                self._push(Prefixed(operator.name, operand, operator.position), height + 1)
            else:
                step = Binary(operator.name, operand, operator.position)
                self._append(operator.level, step, height)

    def _reduce_to_bracket(self) -> _Bracket | None:
        """Completes the operators since the last open bracket, which it returns."""
        self._reduce(0)
        return self._bracket()

    def _bracket(self) -> _Bracket | None:
        last = self._pending[-1] if self._pending else None
        return last if isinstance(last, _Bracket) else None

    # errors

    def _missing(self, lexeme: Lexeme, bracket: _Bracket | None) -> ParseError:
        """What follows an operand is none of what may."""
        if bracket is None:
            return self._unexpected(lexeme, (*_OPERATOR, "the end"))
        if bracket.owner == "(":
            return self._unexpected(lexeme, (*_OPERATOR, ")"))
        return self._unexpected(lexeme, (*_OPERATOR, ",", ")"))

    def _unexpected(self, lexeme: Lexeme, expected: tuple[str, ...]) -> ParseError:
        *others, last = [f"'{each}'" if each in _SYMBOLS else each for each in expected]
        listed = f"{', '.join(others)} or {last}" if others else last
        return self._error(f"expected {listed}, found {lexeme.shown}", lexeme, expected)

    def _too_deep(self, position: int) -> ParseError:
        return ParseError(f"nested more than {MAX_DEPTH} deep", self._lexemes.text, position, ())

    def _error(self, reason: str, lexeme: Lexeme, expected: tuple[str, ...]) -> ParseError:
        return ParseError(reason, self._lexemes.text, lexeme.position, expected)
