"""The chain of records: each holds the hash of the one that its process has stored before.

It shows that a record was changed, or removed from the middle. A client that may write to the
stream can write a whole new chain: export the log to a place of its own.
"""

import hashlib

from event_gateway.core.audit.record import decode


def hash_of(stored: bytes) -> str:
    """The hash that the following record of the process holds."""
    return hashlib.sha256(stored).hexdigest()


class ChainCheck:
    """Checks records in the order in which they are stored. ``records``: how many were read;
    ``problems``: what is wrong, at most :data:`MAX_PROBLEMS` of them."""

    MAX_PROBLEMS = 100

    def __init__(self) -> None:
        self.records = 0
        self.problems: list[str] = []
        self._last: dict[str, tuple[int, str]] = {}  # number and hash of each process' last record

    def add(self, stored: bytes) -> None:
        """Takes the bytes of the next record, without the line break of an export."""
        self.records += 1
        record = decode(stored)
        if record is None:
            self._problem(f"record {self.records} cannot be read")
            return
        own = hash_of(stored)
        name = f"process {record.process}, number {record.number}"
        last = self._last.get(record.process)
        if last is not None:
            number, former = last
            if (record.number, own) == last:
                return  # NATS did not confirm it in time, and it was stored twice
            if record.number != number + 1:
                self._problem(f"{name}: follows number {number}")
            elif record.previous != former:
                self._problem(f"{name}: the record before it was changed")
        elif record.number == 1 and record.previous:
            self._problem(f"{name}: names a record before the first")
        self._last[record.process] = record.number, own

    def _problem(self, text: str) -> None:
        if len(self.problems) < self.MAX_PROBLEMS:
            self.problems.append(text)
