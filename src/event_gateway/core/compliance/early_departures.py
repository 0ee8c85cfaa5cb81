"""Messages that left a stream before the end of their retention, as far as anchors tell.

The oldest messages may leave a stream at its limits. An anchor is signed, and says which messages
the stream had at its time, under which limits, and whether it was held.
"""

import math
from collections.abc import Iterable

import msgspec

from event_gateway.core.compliance.anchor import Statement
from event_gateway.core.compliance.export import Begin
from event_gateway.core.compliance.problems import Problems
from event_gateway.core.text.times import LATEST, parse_time, rfc3339

SLACK = 3600.0  # seconds by which clocks, and the chain behind the stream, may be off
NEARLY = 99  # percent of max_messages or max_bytes, at which the oldest messages leave
LARGE = 1024 * 1024  # bytes of a message that may have left last


class _Claim(msgspec.Struct, frozen=True):
    """Under which limits an anchor says that messages were there; ``held``: none of them."""

    held: bool
    max_messages: int | None
    max_bytes: int | None


class EarlyDepartures:
    """What anchors say of the messages that must still be there at the time ``now`` (in seconds
    since the epoch)."""

    def __init__(self, problems: Problems, now: float) -> None:
        self._problems = problems
        self._now = now
        self._held_since = math.inf  # as the first line of the export says
        self._hold = ""  # since when there is one, as the last signed statement says
        # The first message that may not have left by its age, and until when.
        self._must_stay: dict[_Claim, tuple[int, float]] = {}

    def begin(self, begin: Begin) -> None:
        """Takes the first line of the export."""
        try:
            self._held_since = parse_time(begin.held_since) if begin.held_since else math.inf
        except ValueError:
            self._problems.add("export", 0, 0, "held_since is not a time")

    def anchor(self, statement: Statement, begin: Begin) -> None:
        """Takes a statement of the chain, and whether there is a hold. What a hold kept that has
        been released since may have left."""
        if statement.version > 1 and statement.held_since != self._hold:
            self._hold = statement.held_since
            for claim in [claim for claim in self._must_stay if claim.held]:
                del self._must_stay[claim]
        self._note(statement, begin, signed_hold=bool(statement.held_since))

    def check(
        self, begin: Begin, outside: Iterable[Statement], *, left: int, last: int, size: int
    ) -> None:
        """Tells which messages have left early. ``outside``: the statements that were kept
        elsewhere; ``left``: the first message that is there, ``last`` the last one; ``size``:
        their bytes, as JetStream counts them."""
        held_since = parse_time(self._hold) if self._hold else math.inf
        for statement in outside:
            held = parse_time(statement.time) >= held_since
            self._note(statement, begin, signed_hold=held)
        known = [
            each for claim, each in self._must_stay.items()
            if not _was_full(claim, last - left + 1, size)
        ]  # fmt: skip
        first, until = min(known, default=(left, 0.0))
        if first < left:
            why = "are never dropped"
            if until < math.inf:
                why = f"stay until {rfc3339(min(until, LATEST))} at least"
            elif self._hold and not begin.held_since:
                why = f"are held since {self._hold}, as the last anchor says"
            self._problems.add(
                "left_early", first, left - 1,
                f"the stream has not got them any more, though they {why}",
            )  # fmt: skip

    def _note(self, statement: Statement, begin: Begin, *, signed_hold: bool) -> None:
        """Notes from which message on, as an anchor tells, none may have left yet."""
        at = parse_time(statement.time)
        held = signed_hold or at >= self._held_since
        stated = begin if statement.version == 1 else statement  # what is signed counts
        claim = _Claim(held, stated.max_messages, stated.max_bytes)
        retention = math.inf if held else _retention(statement, begin)
        # What follows an anchor was chained after its time.
        stored = [(statement.sequence + 1, at)]
        if statement.first_time:
            stored.append((statement.first, parse_time(statement.first_time)))
        for first, stored_at in stored:
            until = stored_at + retention - SLACK
            known = self._must_stay.get(claim)
            if self._now < until and (known is None or first < known[0]):
                self._must_stay[claim] = first, until


def _was_full(claim: _Claim, messages: int, size: int) -> bool:
    """Whether the stream may have come to other limits than the age since an anchor: limits can
    only be raised, so it has as much ever since."""
    if claim.held:
        return False
    return _is_nearly(messages, claim.max_messages) or _is_nearly(size + LARGE, claim.max_bytes)


def _is_nearly(count: int, limit: int | None) -> bool:
    """Whether a count has come to a limit, of any size: an export may say what it wants."""
    return limit is not None and 100 * count >= NEARLY * limit


def _retention(statement: Statement, begin: Begin) -> float:
    """For how many seconds messages stayed when an anchor was made: as it says, since that was
    signed, and a stream's retention can only be raised. What the first version says of a stream
    that was held then is no retention."""
    retention = statement.retention
    if retention is None and statement.version == 1:
        retention = begin.retention
    return math.inf if retention is None else retention
