"""Changes of deliveries and lanes that are not written yet. The latest change of each wins.

An attempt that has started is not due to be written for a while: most attempts end before, and then
only their result is written.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import islice, takewhile
from operator import itemgetter

import msgspec

from event_gateway.core.webhook.delivery import FINAL, Attempt, Delivery, Status
from event_gateway.state.records import (
    MAX_MEMBER,
    log_of,
    member_of,
    responses_of,
    source_hash,
)
from event_gateway.state.script_arguments import LaneChange

Key = tuple[str, str, str]  # webhook id, member, source
_webhook = itemgetter(0)

# Records in a call of the script. The server keeps what a call writes until the call ends, and
# blocks others meanwhile; each call reads and writes what it needs of its webhooks.
CALL_RECORDS = 32

# Seconds for which the start of an attempt is not written. A receiver that answers within them
# costs one record in place of two. After a crash the log gives the delivery again, or the queue,
# once the former lease has ended.
HOLD = 0.05
HOLD_LONGER = 0.025  # seconds after that, in which it goes with a write for something else
TIMER_STEP = 0.001  # seconds by which a timer may be early: those of the loop have whole ms

# Of the changes of a lane with the same subject, the newest is written. Others: "breaker".
_SUBJECTS = {"pause": "paused", "resume": "paused", "rate": "rate", "throttle": "throttle"}


class PendingChange(msgspec.Struct, gc=False):
    """The newest submitted state of a delivery.

    It is encoded only when it is written, because most changes are replaced by a newer one before.
    ``tried`` and ``succeeded`` count the attempts, and the successful ones, since the last write.
    ``due_at``: when it may be written, on the clock of :class:`PendingChanges`; 0.0 for soon.
    ``patient``: no caller waits for its write, it may be shared with later changes.
    ``recorded``: called once it is written.
    """

    key: Key
    delivery: Delivery
    token: str
    attempts: list[Attempt]
    status: Status
    last_error: str
    wait: float | None
    fresh: bool
    tried: int
    succeeded: int
    next_attempt: float | None
    patient: bool = False
    due_at: float = 0.0
    recorded: tuple[Callable[[], None], ...] = ()

    def packed(self) -> tuple[object, ...]:
        """The fields of ``Change`` in their order, as a tuple, which is the cheapest to pack."""
        delivery, wait, next_attempt = self.delivery, self.wait, self.next_attempt
        webhook_id, member, source = self.key
        return (
            webhook_id, member, source, source_hash(source),
            delivery.stream, delivery.seq, delivery.run, self.token, self.status,
            len(self.attempts), self.last_error, log_of(self.attempts),
            None if self.status in FINAL or wait is None else max(0, round(wait * 1000)),
            self.fresh, self.tried, self.succeeded, round(delivery.event_at * 1000),
            None if next_attempt is None else round(next_attempt * 1000),
            responses_of(self.attempts), delivery.dead_letter,
            "" if member == delivery.event_id else delivery.event_id,
        )  # fmt: skip


class ChangeBatch(msgspec.Struct):
    """Changes that are written together, and the functions to call after the write. ``calls``: the
    parts of ``changes``, and so of ``keys``, that a call of the script writes."""

    keys: list[Key]
    changes: list[PendingChange]
    recorded: list[Callable[[], None]]
    lanes: dict[tuple[str, str], LaneChange]
    calls: list[slice]

    def __len__(self) -> int:
        return len(self.changes) + len(self.lanes)


def calls_for(webhooks: Sequence[str]) -> list[slice]:
    """Divides changes, given by their webhooks in order, into calls of at most CALL_RECORDS. What a
    call writes of a webhook it writes once, so the changes of a webhook stay together where they
    fit. Of no changes it makes one call."""
    calls, start, group, count = [], 0, 0, len(webhooks)
    for end in range(1, count + 1):
        if end < count and webhooks[end] == webhooks[group]:
            continue  # the group of this webhook is longer
        if end - start > CALL_RECORDS and group > start:
            calls.append(slice(start, group))
            start = group
        while end - start > CALL_RECORDS:
            calls.append(slice(start, start + CALL_RECORDS))
            start += CALL_RECORDS
        group = end
    return [*calls, slice(start, count)]


class PendingChanges:
    """Collects changes until they are written.

    Calls ``on_first`` when they are to be written: at the first change, and once more where all
    were ``patient``, and the next one is not or fills a call. Calls ``on_held`` at the first one
    that is held. ``process`` is the beginning of all fencing tokens of this process; a number,
    which grows with each token, follows. ``clock``: the time in seconds.
    """

    def __init__(
        self,
        process: str,
        *,
        clock: Callable[[], float],
        on_first: Callable[[], None],
        on_held: Callable[[], None],
    ) -> None:
        self._process = process
        self._clock = clock
        self._on_first = on_first
        self._on_held = on_held
        self._changes: dict[Key, PendingChange] = {}  # to be written soon
        self._held: dict[Key, PendingChange] = {}  # attempts that have just started, in their order
        self._written: dict[Key, Callable[[bool], None]] = {}
        self._lanes: dict[tuple[str, str], LaneChange] = {}
        self.patient = False  # nothing waits for what is to be written

    def __len__(self) -> int:
        return len(self._changes) + len(self._held) + len(self._lanes)

    @property
    def due(self) -> int:
        """How many changes are to be written now."""
        self._end_holding()
        return len(self._changes) + len(self._lanes)

    @property
    def held_until(self) -> float | None:
        """Until when the first of the changes that are held is at most; None if none is."""
        return next(iter(self._held.values())).due_at + HOLD_LONGER if self._held else None

    def submit(
        self,
        delivery: Delivery,
        status: Status,
        *,
        wait: float | None,
        last_error: str = "",
        fresh: bool = False,
        succeeded: bool | None = None,
        next_attempt: float | None = None,
        recorded: Callable[[], None] | None = None,
        written: Callable[[bool], None] | None = None,
        patient: bool = False,
    ) -> None:
        """Submits a delivery's newest state, to be written soon.

        ``wait``: seconds until it is due (in progress: until its lease ends); None if the state is
        final, or if the delivery is not queued: then ``next_attempt`` is the seconds until its
        process attempts it again. ``fresh``: this process knows no record of it. ``succeeded``: the
        result of an attempt that has just ended. ``recorded`` is called once this state or a newer
        one is written; ``written`` gets True if this state was written, False if it was refused
        because another process has leased the delivery. ``patient``: nothing waits for the write.
        """
        member = delivery.event_id
        if len(member) > MAX_MEMBER:
            member = member_of(member)
        key = (delivery.webhook_id, member, delivery.source)
        change = self._held.pop(key, None)
        if change is None:
            change = self._changes.get(key)
        if change is None:
            due_at = self._clock() + HOLD if status is Status.IN_PROGRESS else 0.0
            change = PendingChange(
                key, delivery, delivery.token, delivery.attempts, status, last_error, wait, fresh,
                int(succeeded is not None), int(succeeded is True), next_attempt, patient, due_at,
                () if recorded is None else (recorded,),
            )  # fmt: skip
            if due_at:
                is_first, self._held[key] = not self._held, change
                if is_first:
                    self._on_held()
            else:
                self._write_soon(change)
        else:
            if recorded is not None:
                change.recorded += (recorded,)
            is_older = change.token != delivery.token and self._older(delivery.token, change.token)
            if not is_older:
                change.patient = patient
            self._write_soon(change)
            if is_older:
                # This process has leased the delivery again: the state of the newer lease counts.
                if written is not None:
                    written(False)
                return
            change.delivery, change.token = delivery, delivery.token
            change.attempts, change.status, change.last_error = (
                delivery.attempts, status, last_error
            )  # fmt: skip
            change.wait, change.next_attempt = wait, next_attempt
            change.fresh = fresh or change.fresh
            if succeeded is not None:
                change.tried += 1
                change.succeeded += succeeded
        if written is not None:
            self._written[key] = written

    def change_lane(
        self, webhook_id: str, what: str, seconds: float = 0.0, token: str = ""
    ) -> None:
        """Submits a change of a webhook's lane, to be written soon.

        ``what`` is ``open`` (opens its circuit breaker for ``seconds``), ``close``, ``release``
        (ends a probe that was not sent), ``reset``, ``throttle`` (for ``seconds``, by its
        receiver's wish), ``pause`` or ``resume`` (its queue), or ``rate`` (its rate limit has
        changed). ``token`` is that of the probe's delivery.
        """
        subject = _SUBJECTS.get(what, "breaker")
        self._lanes.pop((webhook_id, subject), None)  # the newest change is written last
        self._lanes[webhook_id, subject] = LaneChange(
            webhook=webhook_id, what=what, wait=round(seconds * 1000), token=token
        )
        if not self._changes or self.patient:
            self.patient = False
            self._on_first()

    def call_once_written(self, key: Key, recorded: Callable[[], None]) -> bool:
        """Calls ``recorded`` once the change of a delivery is written; False if there is none."""
        change = self._changes.get(key) or self._held.get(key)
        if change is None:
            return False
        change.recorded += (recorded,)
        return True

    def changes_breaker(self, webhook_id: str) -> bool:
        """Whether a change of the webhook's circuit breaker has not been written yet."""
        return (webhook_id, "breaker") in self._lanes

    def take(self, limit: int) -> ChangeBatch:
        """Removes and returns up to ``limit`` changes of deliveries that are to be written now, and
        as many of lanes."""
        self._end_holding()
        self.patient = False
        # Not a list of all: thousands may wait, of which it would be made for each batch.
        first = list(islice(self._changes, limit))
        taken = {key: self._changes.pop(key) for key in first}
        keys = sorted(taken, key=_webhook)  # the changes of each webhook stay in their order
        return ChangeBatch(
            keys,
            [taken[key] for key in keys],
            [callback for change in taken.values() for callback in change.recorded],
            {key: self._lanes.pop(key) for key in list(self._lanes)[:limit]},
            calls_for([key[0] for key in keys]),
        )

    def settle(self, batch: ChangeBatch, refused: Collection[int]) -> None:
        """Calls the callbacks of a batch that was written.

        ``refused``: the positions, counted from 1, of the changes that were not written, because
        another process has leased the delivery.
        """
        for recorded in batch.recorded:
            recorded()
        refusals = {batch.keys[position - 1] for position in refused}
        if not self._written:
            return
        for key in [key for key in batch.keys if key in self._written]:
            # Unless a newer change was submitted during the write.
            if key not in self._changes and key not in self._held:
                self._written.pop(key)(key not in refusals)

    def _end_holding(self) -> None:
        """Of the attempts that have run for a while, the start is to be written now."""
        if not self._held:
            return
        now = self._clock() + TIMER_STEP
        # First all of them: to find the first entry of a dict takes the longer the more were
        # deleted before it.
        ended = list(takewhile(lambda change: change.due_at <= now, self._held.values()))
        for change in ended:
            del self._held[change.key]
            self._write_soon(change)

    def _write_soon(self, change: PendingChange) -> None:
        if not self._changes:
            self.patient = change.patient and not self._lanes
            self._on_first()
        elif self.patient and not (change.patient and len(self._changes) + 1 < CALL_RECORDS):
            self.patient = False
            self._on_first()
        self._changes[change.key] = change

    def _older(self, token: str, than: str) -> bool:
        own, number = self._process + ".", len(self._process) + 1
        if not (token.startswith(own) and than.startswith(own)):
            return False
        return int(token[number:]) < int(than[number:])
