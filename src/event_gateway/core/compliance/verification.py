"""Verification of a compliance stream: takes the lines of an export, and says what is wrong.

It needs nothing but the lines, and the public keys that the caller trusts: so it does not matter
who wrote the export, or where it was kept.
"""

import hashlib
import struct
from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from event_gateway.core.compliance.anchor import Anchor, Stamp
from event_gateway.core.compliance.anchor_checks import AnchorChecks
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
from event_gateway.core.compliance.early_departures import EarlyDepartures
from event_gateway.core.compliance.export import Begin, End, Line, MessageLine, decode_line
from event_gateway.core.compliance.message_order import MessageOrder
from event_gateway.core.compliance.packed_export import LINE, MESSAGES
from event_gateway.core.compliance.problems import Problems


class ChainVerification:
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
        self.problems = Problems()
        self._order = MessageOrder(self.problems)
        self._departures = EarlyDepartures(self.problems, now)
        self._checks = AnchorChecks(self.problems, keys, outside)
        self._begin: Begin | None = None
        self._ended = False
        self._link: str | None = None  # of the last record
        self._covered = 0  # the last sequence that a record covers
        self._start = 0  # the sequence behind which the chain is checked
        self._begins_at_anchor = False
        self._record: ChainRecord | None = None
        self._expected = 0  # the next sequence of the record
        self._first_left: int | None = None
        # The last message at its place; before the first, the one that would come before it.
        self._seen = 0
        # A message behind a hole, and its bytes: the next one tells whether the hole is real.
        self._doubtful: tuple[int, bytes] | None = None
        self._bytes = 0  # of the messages, as JetStream counts them

    def add(self, line: bytes) -> None:
        """Takes the next line, without its line break."""
        try:
            decoded: Line = decode_line(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.problems.add("export", 0, 0, "a line cannot be read")
            return
        if isinstance(decoded, MessageLine):
            try:
                message = decoded.message()
            except ValueError as error:
                self.problems.add("export", decoded.seq, decoded.seq, str(error))
                return
            self.message(message)
        elif self._ended:
            self.problems.add("export", 0, 0, "a line stands behind the end")
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
                self.problems.add("export", 0, 0, "a message is not complete")
                return
            begin, at = at, at + MESSAGE.size + sum(sizes)
            if at > end:
                self.problems.add("export", seq, seq, "a message is not complete")
                return
            self._message(seq, size_of(*sizes), content[begin:at])

    def _message(self, seq: int, size: int, content: bytes) -> None:
        self.messages += 1
        self._bytes += size
        if self._doubtful is not None:
            self._settle_doubtful(before=seq)
        if seq == self._seen + 1:
            self._check(seq, content)
        elif seq > self._seen:
            self._doubtful = seq, content
        elif self._first_left is None:
            self._check(seq, content)
        else:
            self._order.late(seq, self._seen)
            self._first_left = min(self._first_left, seq)

    def _settle_doubtful(self, before: int | None) -> None:
        """Decides on the message behind a hole: if the next one, ``before``, belongs into the hole,
        it is the message that was moved. None: no other one of its record follows."""
        assert self._doubtful is not None
        (seq, content), self._doubtful = self._doubtful, None
        if before is not None and self._seen < before < seq:
            self._order.early(seq, before)
        else:
            self._check(seq, content)

    def _check(self, seq: int, content: bytes) -> None:
        """Checks the next message that stands at its place."""
        record = self._record
        if self._first_left is None:
            self._first_left = seq
            self._note_begin()
        elif (hole := max(self._seen, self._covered) + 1) < seq:
            self._order.missing(hole, seq - 1)
        self._seen = seq
        if seq > self._covered:
            self.unchained += 1
            return
        if record is None or seq < record.first:
            if self._order.is_missing(seq):
                self._order.late(seq)
                return
            self.problems.add("inserted", seq, seq, "no record of the chain covers it")
            return
        if seq != self._expected and self._expected > self._first_left:
            self._order.missing(self._expected, seq - 1)
        self._expected = seq + 1
        at = DIGEST * (seq - record.first)
        if record.digests[at : at + DIGEST] != hashlib.sha256(content).digest():
            self.problems.add("altered", seq, seq, "it is not the message that was chained")

    def finish(self) -> dict[str, Any]:
        """What was found, once all lines are there."""
        self._close_record()
        begin, covered, first_left = self._begin, self._covered, self._first_left
        if begin is None or not self._ended:
            self.problems.add(
                "export", 0, 0, "it is not complete: its beginning or its end is missing"
            )
        if begin is not None and begin.last < covered:
            self.problems.add(
                "removed", begin.last + 1, covered,
                f"the stream ends at {begin.last}, its chain at {covered}",
            )  # fmt: skip
        self._order.finish(covered)
        if begin is not None:
            self._departures.check(
                begin, self._checks.outside,
                left=covered + 1 if first_left is None else first_left,
                last=0 if first_left is None else self._seen, size=self._bytes,
            )  # fmt: skip
        self._checks.finish(self._start, covered)
        return {
            "stream": None if begin is None else begin.stream,
            "messages": self.messages,
            "records": self.records,
            "anchors": self.anchors,
            "begins_behind": self._start,
            "first": first_left,
            "chained_to": covered,
            "anchored_to": self._checks.anchored_to,
            "not_chained_yet": self.unchained,
            "keys": sorted(self._checks.signers),
            "problem_count": self.problems.count,
            "problems": [msgspec.to_builtins(problem) for problem in self.problems.told],
        }

    def _take_begin(self, begin: Begin) -> None:
        if self._begin is not None:
            self.problems.add("export", 0, 0, "it begins twice")
            return
        self._begin = begin
        if self._first_left is None:
            self._seen = begin.first - 1
        self._note_begin()
        self._departures.begin(begin)
        self._checks.begin(begin.stream)

    def _note_begin(self) -> None:
        """Notes what is missing before the first message, once both lines were there."""
        begin, first = self._begin, self._first_left
        if begin is not None and first is not None and begin.first < first:
            self._order.missing(begin.first, first - 1)

    def _take_end(self, end: End) -> None:
        self._ended = True
        if (end.messages, end.records) != (self.messages, self.records):
            self.problems.add(
                "export", 0, 0,
                f"{end.messages} messages and {end.records} records were exported, "
                f"{self.messages} and {self.records} are there",
            )  # fmt: skip

    def _take_record(self, record: ChainRecord) -> None:
        first, last = record.first, record.last
        if self._doubtful is not None and self._doubtful[0] > self._covered:
            self._order.early(self._doubtful[0])
            self._doubtful = None
        self._close_record()
        self.records += 1
        if self._link is None:
            name = "" if self._begin is None else self._begin.stream
            if record.previous != genesis(name).hex():
                self.problems.add("chain", first, last, "no anchor stands before the first record")
            self._start = self._covered = first - 1
        elif record.previous != self._link:
            self.problems.add(
                "chain", first, last, "the record does not continue the one before it"
            )
        try:
            true = record.true_link
        except (ValueError, OverflowError):
            self.problems.add("chain", first, last, "the record is malformed")
            return
        if true != record.link:
            self.problems.add("chain", first, last, "the record was altered")
        if self.unchained:
            self.problems.add("reordered", self._covered + 1, self._seen,
                              "messages stand before their record")  # fmt: skip
            self.unchained = 0
        if first <= self._covered:
            self.problems.add("chain", first, last, "the record covers messages a second time")
        elif first > self._covered + 1:
            self.problems.add("not_chained", self._covered + 1, first - 1,
                              "they left the stream before the chain covered them")  # fmt: skip
        self._covered = max(self._covered, last)
        self._link = record.link
        self._record, self._expected = record, first
        self._checks.record_ends(last, record.link)

    def _close_record(self) -> None:
        """Nothing more comes of the present record's messages."""
        if self._doubtful is not None:
            self._settle_doubtful(before=None)
        record, self._record = self._record, None
        # Before the first message that is left, messages have left at the end of their retention.
        if record is not None and self._expected <= record.last and self._first_left is not None:
            self._order.missing(self._expected, record.last)
            self._seen = max(self._seen, record.last)

    def _take_anchor(self, anchor: Anchor) -> None:
        self.anchors += 1
        begin = self._begin
        statement = self._checks.read(anchor, None if begin is None else begin.stream)
        if statement is None:
            return
        if begin is not None:
            self._departures.anchor(statement, begin)
        if self._link is None:
            self._link, self._covered = statement.link, statement.sequence
            self._start = statement.sequence
            self._begins_at_anchor = True
            self._checks.begins_at(statement.sequence)
        else:
            self._checks.check_place(statement, self._covered, self._link)
        self._checks.check_former(anchor, statement, begins_at_anchor=self._begins_at_anchor)
