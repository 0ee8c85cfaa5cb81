"""What a verification finds wrong."""

import msgspec

MAX_PROBLEMS = 100  # that are told; all are counted


class ChainProblem(msgspec.Struct, frozen=True):
    """What is wrong with the messages ``first`` to ``last``. ``kind``: ``altered``, ``removed``,
    ``inserted``, ``reordered``, ``left_early``, ``not_chained``; ``chain``, ``anchor``, ``export``
    for what is wrong with those."""

    kind: str
    first: int
    last: int
    detail: str


class Problems:
    """Those that were found: the first of them, and how many there are."""

    def __init__(self) -> None:
        self.told: list[ChainProblem] = []
        self.count = 0

    def add(self, kind: str, first: int, last: int, detail: str) -> None:
        """Adds a problem of the messages ``first`` to ``last``; 0 for one of no message."""
        self.count += 1
        if len(self.told) < MAX_PROBLEMS:
            self.told.append(ChainProblem(kind, first, last, detail))
