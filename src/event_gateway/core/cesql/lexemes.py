"""The lexemes of an expression, one by one: words, string literals and symbols."""

import re
from typing import NamedTuple

from event_gateway.core.cesql.errors import ParseError

WORD, STRING, SYMBOL, END = "word", "string", "symbol", "end"

# Neither alternative nor repetition can be matched in two ways, so nothing is ever tried again.
_LEXEME = re.compile(
    r"[ \t\r\n]*+(?:(?P<word>[A-Za-z0-9_]++)"
    r"|(?P<string>'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\")"
    r"|(?P<symbol><=|>=|<>|!=|[=<>+\-*/%(),])"
    r"|(?P<end>\Z))",
    re.DOTALL,
)
_BLANK = re.compile(r"[ \t\r\n]*+")
_INSTEAD = {
    "&": "AND", "|": "OR", "^": "XOR", "!": "NOT or !=", "[": "IN (…)", ";": "nothing at the end",
    ".": "the name of an attribute; CESQL has no paths, and cannot look into data",
}  # fmt: skip
MAX_SHOWN = 40


class Lexeme(NamedTuple):
    """``kind`` is one of the above; ``text`` as it stands in the expression, from ``position``."""

    kind: str
    text: str
    position: int

    @property
    def shown(self) -> str:
        """The lexeme for an error."""
        if self.kind == END:
            return "the end"
        shown = self.text if len(self.text) <= MAX_SHOWN else f"{self.text[:MAX_SHOWN]}…"
        return f"'{shown}'" if self.kind == SYMBOL else shown


class Lexemes:
    """Reads the lexemes of a text. Raises ParseError where there is none."""

    __slots__ = ("_next", "_position", "last", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._position = 0
        self.last = 0  # where the lexeme that was taken last begins
        self._next: Lexeme | None = None

    def peek(self) -> Lexeme:
        """The next lexeme, which stays the next."""
        if self._next is None:
            self._next = self._read()
        return self._next

    def take(self) -> Lexeme:
        """The next lexeme."""
        lexeme = self.peek()
        self._next = None
        self.last = lexeme.position
        return lexeme

    def _read(self) -> Lexeme:
        match = _LEXEME.match(self.text, self._position)
        if match is None:
            raise self._unreadable()
        self._position = match.end()
        kind = str(match.lastgroup)
        return Lexeme(kind, match[kind], match.start(kind))

    def _unreadable(self) -> ParseError:
        blank = _BLANK.match(self.text, self._position)
        position = self._position if blank is None else blank.end()
        character = self.text[position]
        if character in "'\"":
            return ParseError(
                f"the string that begins here has no closing {character}", self.text, position,
                (character,),
            )  # fmt: skip
        instead = _INSTEAD.get(character)
        hint = f"; write {instead}" if instead else ""
        return ParseError(f"unexpected character {character!r}{hint}", self.text, position, ())


def text_of(literal: str) -> str:
    """The String of a string literal: only its delimiter is escaped, section 2.2."""
    delimiter = literal[0]
    if "\\" not in literal:
        return literal[1:-1]
    parts = re.split(r"(\\.)", literal[1:-1], flags=re.DOTALL)
    return "".join(delimiter if part == "\\" + delimiter else part for part in parts)


def literal_of(text: str) -> str:
    """A string literal of a String that :func:`text_of` has given."""
    delimiter = "'" if _fits(text, "'") or not _fits(text, '"') else '"'
    return f"{delimiter}{text.replace(delimiter, chr(92) + delimiter)}{delimiter}"


def _fits(text: str, delimiter: str) -> bool:
    """Whether each delimiter in a text can be escaped: no backslash before it is in its way."""
    backslashes = 0
    for character in text:
        if character == "\\":
            backslashes += 1
            continue
        if character == delimiter and backslashes % 2:
            return False
        backslashes = 0
    return backslashes % 2 == 0
