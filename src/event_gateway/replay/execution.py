"""Carries out one replay: reads its events or dead letters and queues a new run of each, in steps.

The new runs of a step and the progress of the replay are written together, so that after a crash no
run is missing and none is started twice.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from event_gateway.broker.dead_letters import DeadLetterLog, StoredDeadLetter
from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.matching.pattern import matches
from event_gateway.core.webhook.replay import Progress, Replay, ReplayState
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.replay.new_runs import NewRuns
from event_gateway.replay.ownership import is_own
from event_gateway.state.runs import NewRun, Runs
from event_gateway.state.script_arguments import ReplayStep

LEASE = 15.0  # seconds after which another process can take over a replay
CHUNK = 256  # deliveries queued, or dead letters read, in one step
MAX_DEPTH = 1000  # pending deliveries of a webhook above which a replay from the log pauses
PAUSE = 0.5  # seconds until the replay checks that depth again
STEPS_PER_TURN = 40  # parts of the log that a replay reads in its turn, before other replays
REGISTRY_LAG = 2.5  # seconds after which this process knows of a webhook registered by another one


class LogPart(Protocol):
    """A part of the log.

    ``events`` match; ``looked`` messages were read; ``first`` is the first position of the log,
    ``position`` the next one to read; ``last``: this is the last part.
    """

    @property
    def events(self) -> list[Received]: ...
    @property
    def looked(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def position(self) -> int: ...
    @property
    def last(self) -> bool: ...


ReadLog = Callable[[Webhook, Replay, int], Awaitable[LogPart]]


class TurnEnded(Exception):
    """The replay continues later: ``after`` seconds from now."""

    def __init__(self, after: float) -> None:
        super().__init__("the turn of the replay has ended")
        self.after = after


class ReplayStopped(Exception):
    """The replay was paused or cancelled, or another process carries it out.

    The text is its state.
    """


class ReplayFailed(Exception):
    """The replay cannot be carried out; the text says why."""


class ReplayExecution:
    """Carries out replays. ``holder`` names this process, which has the lease of each."""

    def __init__(
        self,
        holder: str,
        *,
        runs: Runs,
        new_runs: NewRuns,
        dead_letters: DeadLetterLog,
        registry: Registry,
        read_log: ReadLog,
    ) -> None:
        self._holder = holder
        self._runs = runs
        self._new_runs = new_runs
        self._dead_letters = dead_letters
        self._registry = registry
        self._read_log = read_log

    async def carry_out(self, replay: Replay, progress: Progress) -> None:
        """Returns once all runs of the replay are queued.

        Raises TurnEnded, ReplayStopped, ReplayFailed, LogUnavailable, and the exceptions in
        StateError.
        """
        if replay.stream is not None:
            await self._from_log(replay, progress)
        elif replay.positions:
            await self._from_positions(replay, progress)
        else:
            await self._from_dead_letters(replay, progress)

    async def _from_log(self, replay: Replay, progress: Progress) -> None:
        position, last, parts = progress.position, False, 0
        depths_of: tuple[str, ...]
        if position and not replay.dry_run:
            depths_of = (replay.webhook or "",)
            depth = await self._queue(replay, [], progress.first, position, 0, depths_of=depths_of)
            if depth > MAX_DEPTH:
                raise TurnEnded(after=PAUSE)
        while not last:
            webhook = await self._wait_for_webhook(replay.webhook or "")
            part = await self._read_log(webhook, replay, position)
            first = progress.first = progress.first or part.first
            runs = [self._new_runs.of_event(webhook, received) for received in part.events]
            depths_of = (webhook.id,) if not replay.dry_run else ()
            depth = await self._queue(
                replay, runs, first, part.position, part.looked, depths_of=depths_of
            )
            position, last = part.position, part.last
            parts += 1
            if not last and (depth > MAX_DEPTH or parts >= STEPS_PER_TURN):
                raise TurnEnded(after=PAUSE if depth > MAX_DEPTH else 0.0)

    async def _from_dead_letters(self, replay: Replay, progress: Progress) -> None:
        position, remaining = max(progress.position, replay.from_seq), 1
        since = replay.since if progress.position == 0 else None
        while remaining and position <= replay.until_seq:
            page, read, remaining = await self._dead_letters.page(
                webhook_id=replay.webhook and self._registry.current_id(replay.webhook),
                from_position=position,
                since=since,
                limit=CHUNK,
            )
            progress.first = progress.first or (page[0].position if page else position)
            since = None
            in_range = [
                stored
                for stored in page
                if stored.position <= replay.until_seq and self._is_own(stored)
            ]
            selected = [stored for stored in in_range if _selects(replay, stored)]
            runs, left_out = await self._runs_of(selected)
            position = max(read + 1, position)
            await self._queue(
                replay, runs, progress.first, position, len(in_range), left_out=left_out
            )

    async def _from_positions(self, replay: Replay, progress: Progress) -> None:
        position = max(progress.position, 1)
        while position <= len(replay.positions):
            chunk = replay.positions[position - 1 : position - 1 + CHUNK]
            runs: list[NewRun] = []
            existing = 0
            async for read in self._dead_letters.read_all(chunk):
                dead_letters = [
                    stored for stored in read if stored is not None and self._is_own(stored)
                ]
                existing += len(dead_letters)
                runs += [
                    self._new_runs.of_dead_letter(webhook, stored, once=False)
                    for stored in dead_letters
                    if stored.has_event
                    and (webhook := self._webhook(_webhook_id(stored))) is not None
                ]
            position += len(chunk)
            await self._queue(replay, runs, 1, position, len(chunk), left_out=existing - len(runs))

    async def _runs_of(self, dead_letters: Sequence[StoredDeadLetter]) -> tuple[list[NewRun], int]:
        """The new runs from these dead letters, and how many dead letters are left out.

        Left out are those from which a run was started before, those without their event, and those
        of a deleted webhook, also if its id belongs to a new webhook.
        """
        runs = []
        for webhook_id, group in itertools.groupby(
            sorted(dead_letters, key=_webhook_id), key=_webhook_id
        ):
            webhook = self._webhook(webhook_id)
            if webhook is None:
                continue
            usable = [
                stored for stored in group if stored.has_event and stored.time >= webhook.created_at
            ]
            last_used = await self._runs.last_used(
                webhook_id, [stored.position for stored in usable]
            )
            runs += [
                self._new_runs.of_dead_letter(webhook, stored, once=True)
                for stored, used_at in zip(usable, last_used, strict=True)
                if used_at is None
            ]
        return runs, len(dead_letters) - len(runs)

    async def _queue(
        self, replay: Replay, runs: list[NewRun], first: int, position: int, looked: int,
        *, left_out: int = 0, depths_of: tuple[str, ...] = (),
    ) -> int:  # fmt: skip
        """Queues new runs and writes the progress of the replay.

        Returns the greatest queue depth of the webhooks ``depths_of``. Raises ReplayStopped.
        """
        step = ReplayStep(
            position=position, first=first, looked=looked, matched=len(runs) + left_out,
            left_out=left_out, lease=round(LEASE * 1000), depths_of=depths_of,
        )  # fmt: skip
        state, depth, _ = await self._runs.start(
            [] if replay.dry_run else runs, f"replay {replay.id}", replay.id, self._holder, step
        )
        if state != ReplayState.RUNNING:
            raise ReplayStopped(state)
        return depth

    async def _wait_for_webhook(self, webhook_id: str) -> Webhook:
        """The webhook, which another process may just have registered. Raises ReplayFailed."""
        for wait in (REGISTRY_LAG, 0.0):
            webhook = self._webhook(webhook_id)
            if webhook is not None:
                return webhook
            await asyncio.sleep(wait)
        raise ReplayFailed(f"the webhook {webhook_id} was deleted")

    def _is_own(self, stored: StoredDeadLetter) -> bool:
        webhook = self._registry.webhooks.get(_webhook_id(stored))
        return webhook is None or is_own(webhook, stored)

    def _webhook(self, webhook_id: str) -> Webhook | None:
        webhook = self._registry.webhooks.get(self._registry.current_id(webhook_id))
        return None if webhook is None or webhook.deleting else webhook


def _webhook_id(stored: StoredDeadLetter) -> str:
    return stored.body.webhook_id


def _selects(replay: Replay, stored: StoredDeadLetter) -> bool:
    """Whether a dead letter meets the conditions of a replay."""
    return (
        (replay.since is None or stored.time >= replay.since)
        and (replay.until is None or stored.time < replay.until)
        and (replay.reason is None or stored.body.reason == replay.reason)
        and (
            not replay.types or any(matches(pattern, stored.event.type) for pattern in replay.types)
        )
    )
