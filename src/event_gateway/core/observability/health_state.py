"""The health over all processes: whether it is degraded, with hysteresis."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from event_gateway.core.observability.reason import MAX_UNITED, UnitedReason

FORMAT = 1
# Seconds after a recovery in which another episode counts as flapping.
QUIET = 300.0
MAX_DOUBLINGS = 4  # of the seconds until an episode ends, where the health is flapping

Status = Literal["ok", "degraded"]


class HealthState(msgspec.Struct, frozen=True):
    """What is stored for all processes. Times in seconds since the epoch.

    ``since``: since when the status is as it is; for ``degraded``, when the first of the reasons
    began. ``decided_at``: when the leader decided so. ``began``: when the latest episode began, 0
    before the first. ``reasons``: those of now while degraded, else those that the latest episode
    had last. ``announced``: whether the event of this status is published. ``flaps``: episodes that
    followed each other closely.
    """

    v: int = FORMAT
    status: Status = "ok"
    since: float = 0.0
    decided_at: float = 0.0
    began: float = 0.0
    reasons: tuple[UnitedReason, ...] = ()
    announced: bool = True
    flaps: int = 0

    @property
    def episode(self) -> str:
        """What the ids of the latest episode's events are made of."""
        return f"health-{round(self.began * 1000)}"


def following(stored: HealthState, decided: HealthState) -> HealthState:
    """What is stored next where another process may have stored the last state: an episode keeps
    the beginning that was announced, and begins not before the end of the former one."""
    if decided.status == "ok":
        since = max(decided.since, stored.began)
        return msgspec.structs.replace(decided, since=since, began=stored.began, flaps=stored.flaps)
    since = max(decided.since, stored.since)
    return msgspec.structs.replace(decided, since=since, began=since, flaps=_flaps(stored, since))


class HealthTracker:
    """Decides from the reasons of each look whether the health is degraded.

    It is degraded once there have been reasons for ``degraded_after`` seconds without a pause, and
    ok again once there have been none for ``recovered_after`` seconds: the double, the fourfold, …
    for episodes that follow each other closely. Every process keeps a tracker, so that each can
    become the leader at any moment.
    """

    def __init__(self, *, degraded_after: float, recovered_after: float) -> None:
        self._degraded_after = degraded_after
        self._recovered_after = recovered_after
        self._turning: float | None = None  # since when the reasons contradict the status
        self.state = HealthState()

    def observe(self, reasons: Sequence[UnitedReason], *, now: float, tick: float) -> None:
        """Takes the present reasons. ``now`` in seconds since the epoch, ``tick`` on a clock that
        is never set."""
        state = self.state
        if bool(reasons) == (state.status == "degraded"):
            self._turning = None
            if reasons:
                self.state = msgspec.structs.replace(state, reasons=self._present(reasons))
            return
        if self._turning is None:
            self._turning = tick
        lasted = tick - self._turning
        if reasons and lasted >= self._degraded_after:
            self._begin(reasons, now)
        elif not reasons and lasted >= self._patience:
            self.state = msgspec.structs.replace(
                state, status="ok", since=now - lasted, decided_at=now, announced=False
            )
            self._turning = None

    def adopt(self, state: HealthState) -> None:
        """Takes over what is stored: another process has decided it."""
        if state.status != self.state.status:
            self._turning = None
        self.state = state

    def announced(self) -> None:
        """The event of the present status is published: from now on only present reasons count."""
        self.state = msgspec.structs.replace(self.state, announced=True)

    def _present(self, reasons: Sequence[UnitedReason]) -> tuple[UnitedReason, ...]:
        """The reasons of a degraded health. Those that have gone before it could be announced are
        kept: that NATS was away can only be announced once it is back."""
        if self.state.announced:
            return tuple(reasons)
        present = {reason.key for reason in reasons}
        gone = [reason for reason in self.state.reasons if reason.key not in present]
        return (*reasons, *gone)[:MAX_UNITED]

    @property
    def _patience(self) -> float:
        times: int = 2 ** min(max(self.state.flaps - 1, 0), MAX_DOUBLINGS)
        return self._recovered_after * times

    def _begin(self, reasons: Sequence[UnitedReason], now: float) -> None:
        former = self.state
        # Not before the end of the former episode, whose events have its ``since`` in their ids.
        since = max(min(reason.since for reason in reasons), former.since)
        self.state = HealthState(
            status="degraded",
            since=since,
            decided_at=now,
            began=since,
            reasons=tuple(reasons),
            announced=False,
            flaps=_flaps(former, since),
        )
        self._turning = None


def _flaps(former: HealthState, since: float) -> int:
    """How many episodes have followed each other closely, with one that begins then."""
    return former.flaps + 1 if former.began and since - former.since < QUIET else 0
