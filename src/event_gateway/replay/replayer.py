"""The replayer: carries out replays, each in one process at a time, chunk by chunk.

What a chunk queues and how far the replay has come are written together, so that a crash leaves
nothing out and repeats nothing.
"""

import asyncio
import contextlib
import functools
import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from event_gateway.broker.dead_letters import DeadLetterLog, Kept
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import Unknown
from event_gateway.core.matching.pattern import matches
from event_gateway.core.webhook.replay import Progress, Replay, ReplayState
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.replay.manual_retry import ManualRetry
from event_gateway.state.connection import StateError
from event_gateway.state.replays import Replays
from event_gateway.state.runs import NewRun, Runs
from event_gateway.state.script_arguments import ReplayStep
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between looks for replays that nobody runs
HOLD = 15.0  # seconds after which another process takes a replay over
AT_ONCE = 4  # replays that a process runs
CHUNK = 256  # deliveries queued, or dead letters read, in one step
TOGETHER = 32  # dead letters read by their ids side by side; each may be a mebibyte
AHEAD = 1000  # that wait for a webhook beyond which a replay from the log goes no further
WAIT = 0.5  # seconds between looks whether they have become fewer
TURN = 40  # parts of the log in one turn of a replay, where others may wait for theirs
LAG = 2.5  # seconds in which a webhook that is registered elsewhere is known here


class Part(Protocol):
    """A part of the log, as the routing reads it."""

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


Source = Callable[[Webhook, Replay, int], Awaitable[Part]]


class _Over(Exception):
    """This process does not go on with a replay: it has ended, is paused, or is another's."""


class _Failed(Exception):
    """A replay cannot be carried out; the text says why."""


class Replayer:
    """``source`` reads the log. ``wake`` has it look at once for what is to be run."""

    def __init__(
        self,
        replays: Replays,
        runs: Runs,
        manual_retry: ManualRetry,
        letters: DeadLetterLog,
        registry: Registry,
        source: Source,
    ) -> None:
        self._replays = replays
        self._runs = runs
        self._manual_retry = manual_retry
        self._letters = letters
        self._registry = registry
        self._source = source
        self._running: dict[str, asyncio.Task[None]] = {}
        self._later: dict[str, float] = {}  # when each had its last turn, or has its next
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """There may be something to run."""
        self._wanted.set()

    async def run(self) -> None:
        """Goes on for ever."""
        try:
            while True:
                self._wanted.clear()
                try:
                    await self._look()
                except StateError as error:
                    log.debug("replays wait", error=str(error))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._wanted.wait()
        finally:
            await end(self._running.values())

    async def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        running = await self._replays.running()
        self._later = {one: at for one, at in self._later.items() if one in running}
        # Those go first whose last turn is longest ago.
        for replay_id in sorted(running, key=lambda one: self._later.get(one, 0.0)):
            if replay_id in self._running or len(self._running) >= AT_ONCE:
                continue
            if self._later.get(replay_id, 0.0) > now:
                continue
            if await self._replays.hold(replay_id, HOLD):
                task = spawn(self._carry_out(replay_id), name=f"replay-{replay_id}")
                self._running[replay_id] = task
                task.add_done_callback(functools.partial(self._ended, replay_id))

    def _ended(self, replay_id: str, _task: asyncio.Task[None]) -> None:
        self._running.pop(replay_id, None)
        self._wanted.set()  # there is room for another

    async def _carry_out(self, replay_id: str) -> None:
        try:
            found = await self._replays.read(replay_id)
            if found is None:
                await self._replays.move(replay_id, ReplayState.CANCELLED)
                return
            replay, progress = found
            try:
                if replay.stream is not None:
                    await self._from_log(replay, progress)
                elif replay.places:
                    await self._places(replay, progress)
                else:
                    await self._from_letters(replay, progress)
                await self._replays.move(replay_id, ReplayState.DONE)
            except (_Failed, Unknown) as error:
                await self._replays.move(replay_id, ReplayState.FAILED, str(error))
            except (_Over, *StateError, LogUnavailable):
                raise
            except Exception as error:  # a mistake of ours must not be repeated for ever
                log.exception("replay failed", replay=replay_id)
                await self._replays.move(replay_id, ReplayState.FAILED, repr(error)[:500])
            log.info("replay has ended", replay=replay_id)
        except _Over as why:
            self._later[replay_id] = asyncio.get_running_loop().time()
            if str(why) == "waits":
                self._later[replay_id] += WAIT
            elif str(why) != "turn":
                log.info("replay stops here", replay=replay_id, why=str(why))
        except (*StateError, LogUnavailable) as error:
            log.warning("replay waits", replay=replay_id, error=str(error))
            await asyncio.sleep(LOOK)
        finally:
            with contextlib.suppress(*StateError):  # else it ends by itself
                await self._replays.release(replay_id)

    async def _from_log(self, replay: Replay, progress: Progress) -> None:
        position, last, parts = progress.position, False, 0
        if position and not replay.dry_run:
            wanted = (replay.webhook or "",)
            if await self._queue(replay, [], progress.first, position, 0, depths=wanted) > AHEAD:
                raise _Over("waits")
        while not last:
            webhook = await self._there(replay.webhook or "")
            part = await self._source(webhook, replay, position)
            first = progress.first = progress.first or part.first
            repeats = [self._manual_retry.again(webhook, one) for one in part.events]
            depths = (webhook.id,) if not replay.dry_run else ()
            depth = await self._queue(
                replay, repeats, first, part.position, part.looked, depths=depths
            )
            position, last = part.position, part.last
            parts += 1
            if not last and (depth > AHEAD or parts >= TURN):
                raise _Over("waits" if depth > AHEAD else "turn")

    async def _from_letters(self, replay: Replay, progress: Progress) -> None:
        position, behind = max(progress.position, replay.from_seq), 1
        since = replay.since if progress.position == 0 else None
        while behind and position <= replay.until_seq:
            kept, read, behind = await self._letters.page(
                webhook_id=replay.webhook, from_place=position, since=since, limit=CHUNK
            )
            progress.first = progress.first or (kept[0].place if kept else position)
            since = None
            some = [one for one in kept if one.place <= replay.until_seq]
            wanted = [one for one in some if _wanted(replay, one)]
            repeats, left_out = await self._of_letters(wanted)
            position = max(read + 1, position)
            await self._queue(
                replay, repeats, progress.first, position, len(some), left_out=left_out
            )

    async def _places(self, replay: Replay, progress: Progress) -> None:
        position = max(progress.position, 1)
        while position <= len(replay.places):
            places = replay.places[position - 1 : position - 1 + CHUNK]
            repeats: list[NewRun] = []
            there = 0
            for start in range(0, len(places), TOGETHER):
                some = places[start : start + TOGETHER]
                kept = await asyncio.gather(*(self._letters.read(place) for place in some))
                found = [one for one in kept if one is not None]
                there += len(found)
                repeats += [
                    self._manual_retry.of_letter(webhook, one, once=False)
                    for one in found
                    if one.whole and (webhook := self._webhook(_of(one))) is not None
                ]
            position += len(places)
            await self._queue(
                replay, repeats, 1, position, len(places), left_out=there - len(repeats)
            )

    async def _of_letters(self, kept: Sequence[Kept]) -> tuple[list[NewRun], int]:
        """What is to be begun anew of these letters, and how many are left out: what was before,
        those without their event, and those of a webhook that is gone or was another one's."""
        repeats = []
        for webhook_id, group in itertools.groupby(sorted(kept, key=_of), key=_of):
            webhook = self._webhook(webhook_id)
            if webhook is None:
                continue
            some = [one for one in group if one.whole and one.time >= webhook.created_at]
            marks = await self._runs.marks(webhook_id, [one.place for one in some])
            repeats += [
                self._manual_retry.of_letter(webhook, one, once=True)
                for one, mark in zip(some, marks, strict=True)
                if mark is None
            ]
        return repeats, len(kept) - len(repeats)

    async def _queue(
        self, replay: Replay, repeats: list[NewRun], first: int, position: int, looked: int,
        *, left_out: int = 0, depths: tuple[str, ...] = (),
    ) -> int:  # fmt: skip
        """Queues what is to be repeated, and writes how far that is; gives the greatest depth.

        Raises _Over.
        """
        matched = len(repeats) + left_out
        step = ReplayStep(
            position=position, first=first, looked=looked, matched=matched, left_out=left_out,
            lease=round(HOLD * 1000), depths_of=depths,
        )  # fmt: skip
        state, depth, _ = await self._runs.begin(
            [] if replay.dry_run else repeats, f"replay {replay.id}", replay.id,
            self._replays.holder, step,
        )  # fmt: skip
        if state != ReplayState.RUNNING:
            raise _Over(state)
        return depth

    async def _there(self, webhook_id: str) -> Webhook:
        """The webhook of an id. Raises _Failed where it is gone."""
        for wait in (LAG, 0.0):
            webhook = self._webhook(webhook_id)
            if webhook is not None:
                return webhook
            await asyncio.sleep(wait)
        raise _Failed(f"the webhook {webhook_id} is gone")

    def _webhook(self, webhook_id: str) -> Webhook | None:
        webhook = self._registry.webhooks.get(webhook_id)
        return None if webhook is None or webhook.deleting else webhook


def _of(kept: Kept) -> str:
    return kept.letter.webhook_id


def _wanted(replay: Replay, kept: Kept) -> bool:
    """Whether a dead letter is one of those that the replay names."""
    return (
        (replay.since is None or kept.time >= replay.since)
        and (replay.until is None or kept.time < replay.until)
        and (replay.reason is None or kept.letter.reason == replay.reason)
        and (not replay.types or any(matches(one, kept.event.type) for one in replay.types))
    )
