"""An event until it is acknowledged."""

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
