"""Replays: new runs of many deliveries, from the log or from dead letters."""

from enum import StrEnum

import msgspec


class ReplayState(StrEnum):
    """The states of a replay."""

    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"
    FAILED = "failed"


ENDED = frozenset((ReplayState.CANCELLED, ReplayState.DONE, ReplayState.FAILED))


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A requested replay; times in seconds since the epoch.

    With ``stream``: the events of that stream which match ``webhook`` as it is now. Without: the
    dead letters of ``webhook``, or of every webhook; with ``positions`` only those at these
    positions. ``from_seq`` to ``until_seq`` (both included) are positions, ``since`` to ``until``
    (excluded) times, ``types`` patterns of event types, ``reason`` the reason of the dead letter.
    ``dry_run``: the replay only counts.
    """

    id: str
    webhook: str | None = None
    stream: str | None = None
    types: tuple[str, ...] = ()
    reason: str | None = None
    from_seq: int = 1
    until_seq: int
    since: float | None = None
    until: float | None = None
    positions: tuple[int, ...] = msgspec.field(default=(), name="places")  # the stored name
    dry_run: bool = False
    created_at: float


class Progress(msgspec.Struct, kw_only=True):
    """The progress of a replay. Everything before ``position`` is done; ``first`` is the first
    position that was read (0: none yet). ``looked`` events were read, and ``matched`` of them
    match; of these ``queued`` got a new run, and ``skipped`` did not: they are pending already,
    were replayed before, or their webhook was deleted.
    """

    state: ReplayState = ReplayState.RUNNING
    position: int = 0
    first: int = 0
    looked: int = 0
    matched: int = 0
    queued: int = 0
    skipped: int = 0
    updated_at: float = 0.0
    ended_at: float | None = None
    error: str | None = None
