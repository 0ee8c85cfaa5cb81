"""A suggestion in place of a name that does not exist."""

import difflib
from collections.abc import Iterable

MAX_COMPARED = 64  # characters of the unknown name


def suggestion(unknown: str, known: Iterable[str]) -> str:
    """``; did you mean NAME?`` with the most similar of the ``known`` names; empty if none is."""
    close = difflib.get_close_matches(unknown[:MAX_COMPARED], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def close_matches(unknown: str, known: Iterable[str]) -> list[str]:
    """The most similar of the ``known`` names, at most 3."""
    return difflib.get_close_matches(unknown[:MAX_COMPARED], {*known}, n=3, cutoff=0.75)
