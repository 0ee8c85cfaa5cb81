"""The patterns of LIKE, section 3.4.3: ``%`` is any run of characters, ``_`` one character, and
``\\`` makes either of them literal.

A pattern is divided at its ``%``. The pieces are looked for one after the other, each at the first
place from where the one before it ends, so nothing is tried twice. A piece with ``_`` between two
``%`` is looked for by the bit-parallel Shift-And algorithm: one step for each character of the
text, whose cost grows by one machine word for 30 characters of the piece.
"""

from collections.abc import Callable

Matcher = Callable[[str], bool]
_ANY = ""  # stands for one character of any kind


class _Piece:
    """A part of a pattern without ``%``: ``runs`` are its literal texts with their offsets."""

    __slots__ = ("_everywhere", "_masks", "length", "runs")

    def __init__(self, characters: list[str]) -> None:
        self.length = len(characters)
        self.runs: list[tuple[int, str]] = []
        self._masks: dict[str, int] = {}  # by character, a bit for each place that it may have
        self._everywhere = 0
        run = ""
        for place, character in enumerate([*characters, _ANY]):
            if character is not _ANY:
                run += character
            elif run:
                self.runs.append((place - len(run), run))
                run = ""
        for place, character in enumerate(characters):
            if character is _ANY:
                self._everywhere |= 1 << place
        for place, character in enumerate(characters):
            if character is not _ANY:
                known = self._masks.get(character, self._everywhere)
                self._masks[character] = known | 1 << place

    @property
    def literal(self) -> str | None:
        """Its text, if there is no ``_`` in it."""
        if not self.length:
            return ""
        return self.runs[0][1] if self.runs and len(self.runs[0][1]) == self.length else None

    def fits(self, text: str, start: int) -> bool:
        """Whether it is at this place of a text that is long enough."""
        return all(text.startswith(run, start + offset) for offset, run in self.runs)

    def find(self, text: str, start: int, end: int) -> int:
        """Its first place between two others; -1 if there is none."""
        if self.literal is not None:
            return text.find(self.literal, start, end)
        if not self.runs:
            return start if start + self.length <= end else -1
        masks, everywhere, found, state = self._masks, self._everywhere, 1 << self.length - 1, 0
        for place in range(start, end):
            state = (state << 1 | 1) & masks.get(text[place], everywhere)
            if state & found:
                return place - self.length + 1
        return -1


def matcher(pattern: str) -> Matcher:
    """The function that tells whether a whole text matches a pattern."""
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        return _whole(_Piece(pieces[0]))
    first, *middle, last = [_Piece(piece) for piece in pieces]
    inner = [piece for piece in middle if piece.length]
    if not inner and first.literal is not None and last.literal is not None:
        return _affixes(first.literal, last.literal)
    least = sum(piece.length for piece in (first, *inner, last))

    def matches(text: str) -> bool:
        end = len(text) - last.length
        if len(text) < least or not first.fits(text, 0) or not last.fits(text, end):
            return False
        place = first.length
        for piece in inner:
            found = piece.find(text, place, end)
            if found < 0:
                return False
            place = found + piece.length
        return True

    return matches


def effort(pattern: str) -> int:
    """About how much it takes to compare a text with a pattern, for each character of the text,
    where 1 is to search it for another text."""
    inner = _pieces(pattern)[1:-1]
    return max((1, *(16 + len(piece) // 16 for piece in inner if _ANY in piece)))


def _whole(piece: _Piece) -> Matcher:
    if piece.literal is not None:
        return piece.literal.__eq__
    return lambda text: len(text) == piece.length and piece.fits(text, 0)


def _affixes(prefix: str, suffix: str) -> Matcher:
    least = len(prefix) + len(suffix)
    if not suffix:
        return lambda text: text.startswith(prefix)
    if not prefix:
        return lambda text: text.endswith(suffix)
    return lambda text: len(text) >= least and text.startswith(prefix) and text.endswith(suffix)


def _pieces(pattern: str) -> list[list[str]]:
    pieces: list[list[str]] = [[]]
    place = 0
    while place < len(pattern):
        character = pattern[place]
        if character == "\\" and pattern[place + 1 : place + 2] in ("%", "_"):
            place += 1
            pieces[-1].append(pattern[place])
        elif character == "%":
            pieces.append([])
        else:
            pieces[-1].append(_ANY if character == "_" else character)
        place += 1
    return pieces
