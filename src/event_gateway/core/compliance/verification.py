"""Verification of a compliance stream: takes the lines of an export, and says what is wrong.

It needs nothing but the lines, and the public keys that the caller trusts: so it does not matter
who wrote the export, or where it was kept.
"""

import hashlib
import math
import struct
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from event_gateway.core.compliance.anchor import Anchor, Stamp, Statement
from event_gateway.core.compliance.chain import (
    DIGEST,
    MESSAGE,
    ChainRecord,
    StoredMessage,
    genesis,
    hashed,
    size_of,
    stored_size,
)
from event_gateway.core.compliance.export import Begin, End, Line, MessageLine, decode_line
from event_gateway.core.compliance.packed_export import LINE, MESSAGES
from event_gateway.core.text.times import LATEST, parse_time, rfc3339

MAX_PROBLEMS = 100  # that are told; all are counted
SLACK = 3600.0  # seconds by which clocks, and the chain behind the stream, may be off
NEARLY = 99  # percent of max_messages or max_bytes, at which the oldest messages leave
LARGE = 1024 * 1024  # bytes of a message that may have left last


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with the messages ``first`` to ``last``. ``kind``: ``altered``, ``removed``,
    ``inserted``, ``reordered``, ``left_early``, ``not_chained``; ``chain``, ``anchor``, ``export``
    for what is wrong with those."""

    kind: str
    first: int
    last: int
    detail: str


class _Claim(msgspec.Struct, frozen=True):
    """Under which limits an anchor says that messages were there; ``held``: none of them."""

    held: bool
    max_messages: int | None
    max_bytes: int | None


class Verification:
    """Checks lines in their order. ``keys``: the public keys (``whpk_…``) whose anchors are
    trusted; none: each anchor's own. ``outside``: anchors that were kept elsewhere. ``now``: in
    seconds since the epoch."""

    def __init__(
        self, *, now: float, keys: Collection[str] = (), outside: Iterable[Anchor] = ()
    ) -> None:
        self.messages = 0
        self.records = 0
        self.anchors = 0
        self.unchained = 0
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._now = now
        self._keys = frozenset(keys)
        self._outside: dict[int, Statement] = {}
        self._statements: list[Statement] = []  # of those that were kept outside
        self._begin: Begin | None = None
        self._held_since = math.inf
        self._ended = False
        self._link: str | None = None  # of the last record
        self._covered = 0  # the last sequence that a record covers
        self._start = 0  # the sequence behind which the chain is checked
        self._record: ChainRecord | None = None
        self._expected = 0  # the next sequence of the record
        self._first_left: int | None = None
        self._seen = 0  # the last message
        self._begins_at_anchor = False
        self._former: Anchor | None = None  # the last one that can be trusted
        self._anchored = 0  # the last sequence of such an anchor
        self._signers: set[str] = set()
        self._bytes = 0  # of the messages, as JetStream counts them
        self._hold = ""  # since when there is one, as the last signed statement says
        # The first message that may not have left by its age, and until when.
        self._must_stay: dict[_Claim, tuple[int, float]] = {}
        for anchor in outside:
            if (statement := self._checked(anchor, "kept outside")) is not None:
                known = self._outside.setdefault(statement.sequence, statement)
                if known.link != statement.link:
                    self._rewritten(statement, "kept outside")
                self._statements.append(statement)

    def add(self, line: bytes) -> None:
        """Takes the next line, without its line break."""
        try:
            decoded: Line = decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._problem("export", 0, 0, "a line cannot be read")
            return
        if isinstance(decoded, MessageLine):
            try:
                message = decoded.message()
            except ValueError as error:
                self._problem("export", decoded.seq, decoded.seq, str(error))
                return
            self.message(message)
        elif self._ended:
            self._problem("export", 0, 0, "a line stands behind the end")
        elif isinstance(decoded, ChainRecord):
            self._take_record(decoded)
        elif isinstance(decoded, Anchor):
            self._take_anchor(decoded)
        elif isinstance(decoded, Begin):
            self._take_begin(decoded)
        elif isinstance(decoded, End):
            self._take_end(decoded)
        else:
            assert isinstance(decoded, Stamp)

    def message(self, message: StoredMessage) -> None:
        """Takes the next message."""
        self._message(message.seq, stored_size(message), hashed(message))

    def add_piece(self, piece: bytes) -> None:
        """Takes the next piece of an export in the compact form."""
        if piece.startswith(MESSAGES):
            self._messages(piece, len(MESSAGES))
        else:
            self.add(piece.removeprefix(LINE))

    def _messages(self, content: bytes, at: int) -> None:
        end = len(content)
        while at < end:
            try:
                seq, _, *sizes = MESSAGE.unpack_from(content, at)
            except struct.error:
                self._problem("export", 0, 0, "a message is not complete")
                return
            begin, at = at, at + MESSAGE.size + sum(sizes)
            if at > end:
                self._problem("export", seq, seq, "a message is not complete")
                return
            self._message(seq, size_of(*sizes), content[begin:at])

    def _message(self, seq: int, size: int, content: bytes) -> None:
        self.messages += 1
        self._bytes += size
        record = self._record
        if seq <= self._seen:
            self._problem("reordered", seq, seq, f"it stands behind the message {self._seen}")
            return
        if self._first_left is None:
            self._first_left = seq
        elif seq > self._covered and seq != self._seen + 1:
            self._missing(self._seen + 1, seq - 1)
        self._seen = seq
        if seq > self._covered:
            self.unchained += 1
            return
        if record is None or seq < record.first:
            self._problem("inserted", seq, seq, "no record of the chain covers it")
            return
        if seq != self._expected and self._expected > self._first_left:
            self._missing(self._expected, seq - 1)
        self._expected = seq + 1
        at = DIGEST * (seq - record.first)
        if record.digests[at : at + DIGEST] != hashlib.sha256(content).digest():
            self._problem("altered", seq, seq, "it is not the message that was chained")

    def finish(self) -> dict[str, Any]:
        """What was found, once all lines are there."""
        self._close_record()
        begin = self._begin
        if begin is None or not self._ended:
            self._problem("export", 0, 0, "it is not complete: its beginning or its end is missing")
        if begin is not None and begin.last < self._covered:
            self._problem(
                "removed", begin.last + 1, self._covered,
                f"the stream ends at {begin.last}, its chain at {self._covered}",
            )  # fmt: skip
        if begin is not None:
            if self._first_left is not None and begin.first < self._first_left:
                self._missing(begin.first, self._first_left - 1)
            self._check_early(begin)
        for sequence, statement in self._outside.items():
            if sequence > self._covered:
                self._problem(
                    "anchor", sequence, sequence,
                    f"the chain ends at {self._covered}, an anchor kept outside is of "
                    f"{statement.time}",
                )  # fmt: skip
            elif sequence > self._start:
                self._problem("anchor", sequence, sequence,
                              "no record ends where an anchor kept outside does")  # fmt: skip
        if self._covered and not self._anchored and self._keys:
            self._problem("anchor", self._start + 1, self._covered,
                          "no anchor of a trusted key covers what is left")  # fmt: skip
        return {
            "stream": None if begin is None else begin.stream,
            "messages": self.messages,
            "records": self.records,
            "anchors": self.anchors,
            "begins_behind": self._start,
            "first": self._first_left,
            "chained_to": self._covered,
            "anchored_to": self._anchored,
            "not_chained_yet": self.unchained,
            "keys": sorted(self._signers),
            "problem_count": self.problem_count,
            "problems": [msgspec.to_builtins(problem) for problem in self.problems],
        }

    def _take_begin(self, begin: Begin) -> None:
        if self._begin is not None:
            self._problem("export", 0, 0, "it begins twice")
            return
        try:
            self._held_since = parse_time(begin.held_since) if begin.held_since else math.inf
        except ValueError:
            self._problem("export", 0, 0, "held_since is not a time")
        self._begin = begin
        for statement in self._outside.values():
            if statement.stream != begin.stream:
                self._problem("anchor", statement.sequence, statement.sequence,
                              f"an anchor kept outside is of {statement.stream}")  # fmt: skip

    def _take_end(self, end: End) -> None:
        self._ended = True
        if (end.messages, end.records) != (self.messages, self.records):
            self._problem(
                "export", 0, 0,
                f"{end.messages} messages and {end.records} records were exported, "
                f"{self.messages} and {self.records} are there",
            )  # fmt: skip

    def _take_record(self, record: ChainRecord) -> None:
        self._close_record()
        self.records += 1
        first, last = record.first, record.last
        if self._link is None:
            name = "" if self._begin is None else self._begin.stream
            if record.previous != genesis(name).hex():
                self._problem("chain", first, last, "no anchor stands before the first record")
            self._start = self._covered = first - 1
        elif record.previous != self._link:
            self._problem("chain", first, last, "the record does not continue the one before it")
        try:
            true = record.true_link
        except (ValueError, OverflowError):
            self._problem("chain", first, last, "the record is malformed")
            return
        if true != record.link:
            self._problem("chain", first, last, "the record was altered")
        if self.unchained:
            self._problem("reordered", self._covered + 1, self._seen,
                          "messages stand before their record")  # fmt: skip
            self.unchained = 0
        if first <= self._covered:
            self._problem("chain", first, last, "the record covers messages a second time")
        elif first > self._covered + 1:
            self._problem("not_chained", self._covered + 1, first - 1,
                          "they left the stream before the chain covered them")  # fmt: skip
        self._covered = max(self._covered, last)
        self._link = record.link
        self._record, self._expected = record, first
        outside = self._outside.pop(last, None)
        if outside is not None and outside.link != record.link:
            self._rewritten(outside, "kept outside")

    def _close_record(self) -> None:
        """Nothing more comes of the present record's messages."""
        record, self._record = self._record, None
        # Before the first message that is left, messages have left at the end of their retention.
        if record is not None and self._expected <= record.last and self._first_left is not None:
            self._missing(self._expected, record.last)

    def _take_anchor(self, anchor: Anchor) -> None:
        self.anchors += 1
        statement = self._checked(anchor, "of the chain")
        if statement is None:
            return
        former, self._former = self._former, anchor
        self._anchored = max(self._anchored, statement.sequence)
        self._signers.add(anchor.key)
        if self._begin is not None:
            self._note_hold(statement)
            self._note_first(statement, self._begin, signed_hold=bool(statement.held_since))
            if statement.stream != self._begin.stream:
                self._problem("anchor", statement.sequence, statement.sequence,
                              f"it is of the stream {statement.stream}")  # fmt: skip
        if self._link is None:
            self._link, self._covered = statement.link, statement.sequence
            self._start = statement.sequence
            self._begins_at_anchor = True
            self._outside.pop(statement.sequence, None)
        elif (statement.sequence, statement.link) != (self._covered, self._link):
            self._rewritten(statement, "of the chain")
        begins = former is None and not self._begins_at_anchor
        before = "" if begins else statement.previous if former is None else former.digest
        if statement.previous != before:
            self._problem("anchor", statement.sequence, statement.sequence,
                          "it does not follow the anchor before it")  # fmt: skip

    def _checked(self, anchor: Anchor, where: str) -> Statement | None:
        """The statement of an anchor that can be trusted."""
        try:
            statement = anchor.read()
            parse_time(statement.time)
            parse_time(statement.first_time or statement.time)
            parse_time(statement.held_since or statement.time)
        except ValueError:
            self._problem("anchor", 0, 0, f"an anchor {where} cannot be read")
            return None
        at = statement.sequence
        if not anchor.is_signed():
            self._problem("anchor", at, at, f"the signature of an anchor {where} is wrong")
            return None
        if self._keys and anchor.key not in self._keys:
            self._problem("anchor", at, at,
                          f"an anchor {where} was signed with the unknown key {anchor.key}",
                          )  # fmt: skip
            return None
        return statement

    def _check_early(self, begin: Begin) -> None:
        """Whether messages left before the end of their retention, as far as anchors tell."""
        left = self._covered + 1 if self._first_left is None else self._first_left
        held_since = parse_time(self._hold) if self._hold else math.inf
        for statement in self._statements:
            held = parse_time(statement.time) >= held_since
            self._note_first(statement, begin, signed_hold=held)
        known = [each for claim, each in self._must_stay.items() if not self._was_full(claim, left)]
        first, until = min(known, default=(left, 0.0))
        if first < left:
            why = "are never dropped"
            if until < math.inf:
                why = f"stay until {rfc3339(min(until, LATEST))} at least"
            elif self._hold and not begin.held_since:
                why = f"are held since {self._hold}, as the last anchor says"
            self._problem("left_early", first, left - 1,
                          f"the stream has not got them any more, though they {why}")  # fmt: skip

    def _was_full(self, claim: _Claim, left: int) -> bool:
        """Whether the stream may have come to other limits than the age since an anchor: limits can
        only be raised, so it has as much ever since."""
        if claim.held:
            return False
        present = self._seen - left + 1
        return _is_nearly(present, claim.max_messages) or _is_nearly(
            self._bytes + LARGE, claim.max_bytes
        )

    def _note_hold(self, statement: Statement) -> None:
        """Takes from an anchor of the chain whether there is a hold. What one kept that has been
        released since may have left."""
        if statement.version > 1 and statement.held_since != self._hold:
            self._hold = statement.held_since
            for claim in [claim for claim in self._must_stay if claim.held]:
                del self._must_stay[claim]

    def _note_first(self, statement: Statement, begin: Begin, *, signed_hold: bool) -> None:
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

    def _missing(self, first: int, last: int) -> None:
        self._problem("removed", first, last, "missing")

    def _rewritten(self, statement: Statement, where: str) -> None:
        self._problem(
            "anchor", statement.sequence, statement.sequence,
            f"an anchor {where}, of {statement.time}, has another link: the chain was written anew",
        )  # fmt: skip

    def _problem(self, kind: str, first: int, last: int, detail: str) -> None:
        self.problem_count += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(kind, first, last, detail))


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
