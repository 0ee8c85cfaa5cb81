"""An event until it is acknowledged, and an event with deliveries that cannot be started."""

import time
from collections.abc import Callable

from event_gateway.broker.pull import Pulled


class Settlement:
    """An event whose deliveries are not all recorded yet. ``settle`` is called once they are."""

    __slots__ = ("_settle", "reply", "seq", "since", "size", "waiting")

    def __init__(
        self, settle: Callable[["Settlement"], None], pulled: Pulled, seq: int, waiting: int
    ) -> None:
        self._settle, self.seq, self.waiting = settle, seq, waiting
        self.reply, self.size = pulled.reply, len(pulled.data)
        self.since = time.monotonic()

    def recorded(self) -> None:
        """One delivery more is recorded."""
        self.waiting -= 1
        if self.waiting == 0:
            self._settle(self)


class Fault:
    """An event with deliveries that could not be started, because of a fault in the gateway.

    ``failed`` has the exceptions by webhook; ``all_failed``: no other delivery of the event was
    started now, so that all others are recorded.
    """

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
