"""Events with deliveries that could not be started, because of a fault in the gateway."""

import time
from collections.abc import Sequence

import structlog

from event_gateway.broker.pull import Pulled

log = structlog.get_logger(__name__)

INTERVAL = 10.0  # seconds between two log lines


class Fault:
    """One such event. ``failed``: the exceptions, by webhook; ``all_failed``: no other delivery of
    the event was started now, so that all others are recorded."""

    __slots__ = ("all_failed", "failed", "pulled")

    def __init__(self, pulled: Pulled, failed: dict[str, Exception], *, all_failed: bool) -> None:
        self.pulled, self.failed, self.all_failed = pulled, failed, all_failed

    @property
    def detail(self) -> str:
        """Why the event is set aside, with the webhooks that have not received it."""
        webhook, error = next(iter(self.failed.items()))
        others = f" (and to {len(self.failed) - 1} more webhooks)" if len(self.failed) > 1 else ""
        kind = type(error).__name__  # its text may hold a secret
        return f"the delivery to the webhook {webhook}{others} cannot be started: {kind}"


class FaultLog:
    """Logs the faults of one stream, seldom: each event comes again and again."""

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self._events = 0  # not logged yet
        self._log_at = 0.0

    def note(self, faults: Sequence[Fault]) -> None:
        """Logs the first of these, with how many there were since the last line."""
        self._events += len(faults)
        if (now := time.monotonic()) < self._log_at:
            return
        first = faults[0]
        log.error(
            "deliveries cannot be started, their events are taken again", stream=self._stream,
            events=self._events, seq=first.pulled.seq, webhooks=sorted(first.failed),
            fault=next(iter(first.failed.values())),
        )  # fmt: skip
        self._events, self._log_at = 0, now + INTERVAL
