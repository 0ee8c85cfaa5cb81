"""Messages that are missing, and messages that stand at another place than their own.

A message that was moved is missing at its place. It is told once, as moved: a hole is told as
missing messages only at the end, when none of them has been found elsewhere.
"""

import bisect

from event_gateway.core.compliance.problems import Problems

MAX_KEPT = 10_000  # holes, and moved messages whose place has not come yet


class MessageOrder:
    """Tells ``problems`` which messages are missing or were moved. Each call is about one message,
    or one hole, in the order of the export."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._holes: list[tuple[int, int]] = []  # in their order, first and last message
        # Moved messages, and the message that each stands before; in their order.
        self._early: list[tuple[int, int]] = []
        self._late: list[int] | None = None  # moved together: the first, the last, and behind which

    def missing(self, first: int, last: int) -> None:
        """These messages are not at their place."""
        begin = bisect.bisect_left(self._early, (first, 0))
        end = bisect.bisect_left(self._early, (last + 1, 0))
        found, self._early[begin:end] = self._early[begin:end], []
        for seq, before in found:
            self._tell_early(seq, before)
            if first < seq:
                self._keep_hole(first, seq - 1)
            first = seq + 1
        if first <= last:
            self._keep_hole(first, last)

    def is_missing(self, seq: int) -> bool:
        """Whether a message was not at its place, and has not been found elsewhere."""
        return self._hole_of(seq) is not None

    def early(self, seq: int, before: int = 0) -> None:
        """A message stands before others that come before it; ``before``: the first of them; 0 if
        these are all of its record."""
        if len(self._early) < MAX_KEPT:
            bisect.insort(self._early, (seq, before))
        else:
            self._tell_early(seq, before)

    def late(self, seq: int, behind: int = 0) -> None:
        """A message stands behind others that come after it; ``behind``: the last of them; 0 if it
        stands behind the messages of its record."""
        self._fill(seq)
        if self._late is not None and self._late[1:] == [seq - 1, behind]:
            self._late[1] = seq
            return
        self._tell_late()
        self._late = [seq, seq, behind]

    def finish(self, chained_to: int) -> None:
        """Tells what is left. ``chained_to``: the last message that the chain covers."""
        self._tell_late()
        for seq, before in self._early:
            if seq > chained_to:
                self._problems.add("inserted", seq, seq, "no record of the chain covers it")
            else:
                self._tell_early(seq, before)
        for first, last in self._holes:
            self._tell_hole(first, last)

    def _keep_hole(self, first: int, last: int) -> None:
        if self._holes and self._holes[-1][1] == first - 1:
            first = self._holes.pop()[0]
        bisect.insort(self._holes, (first, last))
        self._limit_holes()

    def _fill(self, seq: int) -> None:
        at = self._hole_of(seq)
        if at is None:
            return
        first, last = self._holes[at]
        rest = ((first, seq - 1), (seq + 1, last))
        self._holes[at : at + 1] = [hole for hole in rest if hole[0] <= hole[1]]
        self._limit_holes()

    def _hole_of(self, seq: int) -> int | None:
        """The place of the hole in which a message is missing."""
        at = bisect.bisect_right(self._holes, seq, key=lambda hole: hole[0]) - 1
        return at if at >= 0 and self._holes[at][1] >= seq else None

    def _limit_holes(self) -> None:
        if len(self._holes) > MAX_KEPT:
            self._tell_hole(*self._holes.pop(0))

    def _tell_hole(self, first: int, last: int) -> None:
        self._problems.add("removed", first, last, "missing")

    def _tell_early(self, seq: int, before: int) -> None:
        self._problems.add("reordered", seq, seq, f"it stands before {_what(before)}")

    def _tell_late(self) -> None:
        if self._late is not None:
            first, last, behind = self._late
            what = "it stands" if first == last else "they stand"
            self._problems.add("reordered", first, last, f"{what} behind {_what(behind)}")
            self._late = None


def _what(seq: int) -> str:
    return f"the message {seq}" if seq else "the others of its record"
