"""What a page of a list may read, and for how long: shared by all streams that it reads."""

import time

from event_gateway.lookup import backward_reading


class PageBudget:
    """At most ``most`` messages, for ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._until = time.monotonic() + seconds
        self._waited = False
        self._ended = False
        self.read = 0

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    @property
    def spent(self) -> bool:
        """Whether the page must end."""
        return self._ended or self.read >= self._most or not self.left

    def note(self, read: int) -> None:
        """Notes that messages were read."""
        self.read += read

    def wait_for_nats(self) -> None:
        """Notes that NATS has to load what it needs to find types: once, the time that the page has
        waited for it does not count."""
        if not self._waited:
            self._waited = True
            self._until += backward_reading.SUBJECT_WAIT

    def end(self) -> None:
        """Ends the page."""
        self._ended = True
