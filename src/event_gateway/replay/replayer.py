"""The replayer: decides which replays this process carries out, and when each has its turn.

A single process at a time carries out a replay, under a lease.
"""

import asyncio
import contextlib
import functools

import structlog

from event_gateway.beats import at_beat
from event_gateway.broker.event_log import LogUnavailable
from event_gateway.core.errors import NotRegistered
from event_gateway.core.webhook.replay import ReplayState
from event_gateway.replay.execution import (
    LEASE,
    ReplayExecution,
    ReplayFailed,
    ReplayStopped,
    TurnEnded,
)
from event_gateway.state.connection import StateError
from event_gateway.state.replays import Replays
from event_gateway.tasks import end, spawn

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two searches for replays that no process carries out
IDLE = 5.0  # the same while there is no replay at all
MAX_RUNNING = 4  # replays that a process carries out at a time
_AWAY = (*StateError, LogUnavailable, TimeoutError)  # a later turn of a replay can succeed


class Replayer:
    """Carries out the replays of ``replays``."""

    def __init__(self, replays: Replays, execution: ReplayExecution) -> None:
        self._replays = replays
        self._execution = execution
        self._running: dict[str, asyncio.Task[None]] = {}
        self._next_turn: dict[str, float] = {}  # by replay, in the event loop's time
        self._woken = asyncio.Event()
        self._any = True  # whether a replay runs, in this process or another one

    def wake(self) -> None:
        """Searches for replays at once, because a replay was created or resumed."""
        self._woken.set()

    async def run(self) -> None:
        """Runs the replays.

        It never returns; when it is cancelled, other processes take them over.
        """
        try:
            while True:
                self._woken.clear()
                try:
                    await self._start_turns()
                except StateError as error:
                    log.debug("replays cannot be read from Redis", error=str(error))
                at_beat(INTERVAL if self._any else IDLE, self._woken.set)
                await self._woken.wait()
        finally:
            await end(self._running.values())

    async def _start_turns(self) -> None:
        now = asyncio.get_running_loop().time()
        running = await self._replays.running()
        self._any = bool(running)
        self._next_turn = {id_: at for id_, at in self._next_turn.items() if id_ in running}
        # The replay whose last turn is longest ago goes first.
        for replay_id in sorted(running, key=lambda id_: self._next_turn.get(id_, 0.0)):
            if replay_id in self._running or len(self._running) >= MAX_RUNNING:
                continue
            if self._next_turn.get(replay_id, 0.0) > now:
                continue
            if await self._replays.lease(replay_id, LEASE):
                task = spawn(self._turn(replay_id), name=f"replay-{replay_id}")
                self._running[replay_id] = task
                task.add_done_callback(functools.partial(self._ended, replay_id))

    def _ended(self, replay_id: str, _task: asyncio.Task[None]) -> None:
        self._running.pop(replay_id, None)
        self._woken.set()  # there is room for another replay

    async def _turn(self, replay_id: str) -> None:
        """Carries out a part of a replay, and writes its state if it has ended."""
        try:
            state, error_text = await self._carry_out(replay_id)
            await self._replays.change_state(replay_id, state, error_text)
            log.info("replay has ended", replay=replay_id, state=state.value)
        except TurnEnded as turn:
            self._next_turn[replay_id] = asyncio.get_running_loop().time() + turn.after
        except ReplayStopped as stopped:
            self._next_turn[replay_id] = asyncio.get_running_loop().time()
            log.info("replay stops in this process", replay=replay_id, state=str(stopped))
        except _AWAY as error:
            log.warning("replay waits for Redis or NATS", replay=replay_id, error=str(error))
            await asyncio.sleep(INTERVAL)
        finally:
            with contextlib.suppress(*StateError):  # then the lease expires
                await self._replays.release(replay_id)

    async def _carry_out(self, replay_id: str) -> tuple[ReplayState, str]:
        """Returns the state in which the replay has ended, and the error. If the replay has not
        ended, it raises what :meth:`ReplayExecution.carry_out` raises."""
        stored = await self._replays.read(replay_id)
        if stored is None:
            return ReplayState.CANCELLED, ""
        try:
            await self._execution.carry_out(*stored)
        except (ReplayFailed, NotRegistered) as error:
            return ReplayState.FAILED, str(error)
        except (TurnEnded, ReplayStopped, *_AWAY):
            raise
        except Exception as error:  # each further turn would fail in the same way
            log.error("replay failed", replay=replay_id, fault=error)
            return ReplayState.FAILED, repr(error)[:500]
        return ReplayState.DONE, ""
