"""Replays: many deliveries begun anew, from the log or from dead letters."""

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
    """What is to be delivered again; times in seconds since the epoch.

    From the log (``stream``): what matches ``webhook`` as it is now. From the dead letters (no
    ``stream``): those of ``webhook``, or of all; with ``places`` just these. ``from_seq`` to
    ``until_seq`` (both included) are places there, ``since`` and ``until`` (excluded) times,
    ``types`` patterns of which the event's type fits one, ``reason`` that of the dead letter.
    ``dry_run``: it only counts.
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
    places: tuple[int, ...] = ()
    dry_run: bool = False
    created_at: float


class Progress(msgspec.Struct, kw_only=True):
    """How far a replay has come. ``position``: the place before which all is done; ``first``: the
    first that was looked at (0: none yet). Of those looked at so many ``matched``; of these so many
    are ``queued``, the rest was ``skipped``: on its way anyhow, repeated before, or its webhook is
    gone.
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
