"""Stores for all processes whether the health is degraded, and announces when that changes.

Every process runs this; only the leader does anything. What it has stored outlives it, so that an
episode has one ``gateway.health.degraded`` and one ``gateway.health.recovered``, whichever process
begins or ends it.
"""

import time
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import LogUnavailable
from event_gateway.broker.peers import Peers
from event_gateway.broker.status_bucket import MAX_VALUE, StatusBucket
from event_gateway.core.observability.health_state import (
    FORMAT,
    HealthState,
    HealthTracker,
    following,
)
from event_gateway.core.observability.reason import Reason, UnitedReason
from event_gateway.core.observability.reason_codes import STATUS_UNWRITTEN
from event_gateway.core.text.times import rfc3339
from event_gateway.observability.announcements import Announcements

log = structlog.get_logger(__name__)

INTERVAL = 1.0  # seconds between two looks
TIDY_EVERY = 3600.0  # seconds
KEY = "health"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HealthState).decode


class HealthLeader:
    """Stores and announces what ``tracker`` says, one step at a time."""

    def __init__(
        self,
        broker: Broker,
        peers: Peers,
        bucket: StatusBucket,
        announcements: Announcements,
        *,
        tracker: HealthTracker,
    ) -> None:
        self._broker = broker
        self._peers = peers
        self._bucket = bucket
        self._announcements = announcements
        self._tracker = tracker
        # What is stored, and its revision; None while this process does not lead.
        self._stored: tuple[HealthState, int] | None = None
        self._tidied = time.monotonic()
        self._failure = ""

    def reasons(self) -> Iterable[Reason]:
        """Why the health is degraded: NATS does not store it."""
        if self._failure:
            yield Reason(STATUS_UNWRITTEN, f"NATS does not store the health: {self._failure}")

    def bucket_recreated(self) -> None:
        """The stored health is gone, or another client of NATS has changed it: it is read again."""
        self._stored = None

    async def run(self) -> None:
        """Looks every second. It never returns."""
        while True:
            await beat(INTERVAL)
            if not self._broker.connected or self._peers.cut_off:
                continue
            if not self._peers.leads:
                self._stored, self._failure = None, ""
                continue
            try:
                await self._turn()
            except LogUnavailable as error:
                self._stored = None
                if not self._failure:
                    log.error("the health cannot be stored in NATS", reason=str(error))
                self._failure = str(error) or type(error).__name__
            else:
                self._failure = ""

    async def stored(self) -> HealthState | None:
        """What is stored; None if this version knows nothing of it. Raises LogUnavailable."""
        entry = await self._bucket.read(KEY)
        return None if entry is None else _state_of(entry.value)

    async def _turn(self) -> None:
        if self._stored is None and not await self._take_over():
            return
        assert self._stored is not None
        state, revision = self._stored
        decided = self._tracker.state
        if not state.announced:
            await self._announce(state)
            await self._write(msgspec.structs.replace(state, announced=True), revision)
            if self._tracker.state.decided_at <= state.decided_at:
                self._tracker.announced()
        elif decided.status != state.status:
            decided = following(state, decided)
            _log_change(decided)
            self._tracker.adopt(decided)
            await self._write(_fitting(decided), revision)
            if self._stored is not None:
                await self._turn()  # announces it
        elif state.status == "degraded":
            present = _fitting(msgspec.structs.replace(state, reasons=decided.reasons))
            if _keys(present) != _keys(state):
                await self._write(present, revision)
        await self._tidy()

    async def _take_over(self) -> bool:
        """Reads what is stored. If another process has decided it after what this one has, this one
        adopts it; otherwise NATS was away when this one decided. False: a newer version leads."""
        entry = await self._bucket.read(KEY)
        state = HealthState() if entry is None else _state_of(entry.value)
        if state is None:
            return False
        self._stored = (state, 0 if entry is None else entry.revision)
        decided = self._tracker.state
        if decided.status == state.status or decided.decided_at <= state.decided_at:
            self._tracker.adopt(state)
        return True

    async def _write(self, state: HealthState, revision: int) -> None:
        written = await self._bucket.write(KEY, _encode(state), revision)
        # None: another process has written it, which is read at the next turn.
        self._stored = None if written is None else (state, written)

    async def _announce(self, state: HealthState) -> None:
        degraded = state.status == "degraded"
        data: dict[str, Any] = {
            "reasons": [shown_reason(reason) for reason in state.reasons],
            "since": rfc3339(state.began),
        }
        if not degraded:
            data["recovered_at"] = rfc3339(state.since)
        word = "degraded" if degraded else "recovered"
        await self._announcements.announce(
            f"gateway.health.{word}", "gateway", data, f"{state.episode}-{word}",
            at=state.since, perhaps_published=True,
        )  # fmt: skip

    async def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied > TIDY_EVERY:
            self._tidied = now
            try:
                await self._bucket.tidy()
            except LogUnavailable as error:
                log.debug("the bucket of the status was not tidied", error=str(error))


def shown_reason(reason: UnitedReason) -> dict[str, Any]:
    """A reason as events and the API show it."""
    return {
        "code": reason.code,
        "text": reason.text,
        "since": rfc3339(reason.since),
        "processes": list(reason.processes),
    }


def _state_of(value: bytes) -> HealthState | None:
    """What is stored; the beginning where it cannot be read, None if a newer version wrote it."""
    try:
        state = _decode(value)
    except msgspec.DecodeError:
        return HealthState()
    return state if state.v <= FORMAT else None


def _fitting(state: HealthState) -> HealthState:
    """The state with as many of its reasons as an entry of the bucket can hold."""
    while len(_encode(state)) > MAX_VALUE:
        fewer = state.reasons[: len(state.reasons) // 2]
        state = msgspec.structs.replace(state, reasons=fewer)
    return state


def _keys(state: HealthState) -> set[tuple[str, str]]:
    return {reason.key for reason in state.reasons}


def _log_change(state: HealthState) -> None:
    if state.status == "degraded":
        texts = "; ".join(reason.text for reason in state.reasons)
        log.warning("the health is degraded", reason=texts)
    else:
        log.info("the health is ok again")
