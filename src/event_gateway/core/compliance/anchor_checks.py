"""Which anchors can be trusted, and whether the chain agrees with them."""

from collections.abc import Collection, Iterable

from event_gateway.core.compliance.anchor import Anchor, Statement
from event_gateway.core.compliance.problems import Problems
from event_gateway.core.text.times import parse_time

_OF_CHAIN = "of the chain"
_OUTSIDE = "kept outside"


class AnchorChecks:
    """``keys``: the public keys (``whpk_…``) whose anchors are trusted; none: each anchor's own.
    ``outside``: anchors that were kept elsewhere."""

    def __init__(
        self, problems: Problems, keys: Collection[str], outside: Iterable[Anchor]
    ) -> None:
        self._problems = problems
        self._keys = frozenset(keys)
        self._former: Anchor | None = None  # the last one that can be trusted
        self.anchored_to = 0  # the last sequence of such an anchor
        self.signers: set[str] = set()
        self.outside: list[Statement] = []  # those that can be trusted
        self._not_met: dict[int, Statement] = {}  # of these, by sequence
        for anchor in outside:
            if (statement := self._read(anchor, _OUTSIDE)) is not None:
                known = self._not_met.setdefault(statement.sequence, statement)
                if known.link != statement.link:
                    self._rewritten(statement, _OUTSIDE)
                self.outside.append(statement)

    def begin(self, stream: str) -> None:
        """Takes the name of the stream that was exported."""
        for statement in self._not_met.values():
            if statement.stream != stream:
                self._problems.add("anchor", statement.sequence, statement.sequence,
                                   f"an anchor kept outside is of {statement.stream}")  # fmt: skip

    def read(self, anchor: Anchor, stream: str | None) -> Statement | None:
        """The statement of an anchor of the chain, if it can be trusted."""
        statement = self._read(anchor, _OF_CHAIN)
        if statement is None:
            return None
        self.anchored_to = max(self.anchored_to, statement.sequence)
        self.signers.add(anchor.key)
        if stream is not None and statement.stream != stream:
            self._problems.add("anchor", statement.sequence, statement.sequence,
                               f"it is of the stream {statement.stream}")  # fmt: skip
        return statement

    def check_former(self, anchor: Anchor, statement: Statement, *, begins_at_anchor: bool) -> None:
        """Checks that an anchor names the one before it. ``begins_at_anchor``: the export begins
        with an anchor, whose own former is not there."""
        former, self._former = self._former, anchor
        begins = former is None and not begins_at_anchor
        before = "" if begins else statement.previous if former is None else former.digest
        if statement.previous != before:
            self._problems.add("anchor", statement.sequence, statement.sequence,
                               "it does not follow the anchor before it")  # fmt: skip

    def check_place(self, statement: Statement, covered: int, link: str) -> None:
        """Checks that an anchor states where the chain is at its place."""
        if (statement.sequence, statement.link) != (covered, link):
            self._rewritten(statement, _OF_CHAIN)

    def begins_at(self, sequence: int) -> None:
        """The export begins behind an anchor of that sequence."""
        self._not_met.pop(sequence, None)

    def record_ends(self, last: int, link: str) -> None:
        """Compares a record that ends at the message ``last`` with what was kept outside."""
        outside = self._not_met.pop(last, None)
        if outside is not None and outside.link != link:
            self._rewritten(outside, _OUTSIDE)

    def finish(self, start: int, covered: int) -> None:
        """Tells which anchors the chain, from ``start`` to ``covered``, does not have."""
        for sequence, statement in self._not_met.items():
            if sequence > covered:
                self._problems.add(
                    "anchor", sequence, sequence,
                    f"the chain ends at {covered}, an anchor kept outside is of {statement.time}",
                )  # fmt: skip
            elif sequence > start:
                self._problems.add("anchor", sequence, sequence,
                                   "no record ends where an anchor kept outside does")  # fmt: skip
        if covered and not self.anchored_to and self._keys:
            self._problems.add("anchor", start + 1, covered,
                               "no anchor of a trusted key covers what is left")  # fmt: skip

    def _read(self, anchor: Anchor, where: str) -> Statement | None:
        """The statement of an anchor that can be trusted."""
        try:
            statement = anchor.read()
            parse_time(statement.time)
            parse_time(statement.first_time or statement.time)
            parse_time(statement.held_since or statement.time)
        except ValueError:
            self._problems.add("anchor", 0, 0, f"an anchor {where} cannot be read")
            return None
        at = statement.sequence
        if not anchor.is_signed():
            self._problems.add("anchor", at, at, f"the signature of an anchor {where} is wrong")
            return None
        if self._keys and anchor.key not in self._keys:
            self._problems.add("anchor", at, at,
                               f"an anchor {where} was signed with the unknown key {anchor.key}",
                               )  # fmt: skip
            return None
        return statement

    def _rewritten(self, statement: Statement, where: str) -> None:
        self._problems.add(
            "anchor", statement.sequence, statement.sequence,
            f"an anchor {where}, of {statement.time}, has another link: the chain was rewritten",
        )  # fmt: skip
