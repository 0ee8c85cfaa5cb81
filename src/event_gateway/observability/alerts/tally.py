"""What a process counts of the attempts of its lanes, for the alerts."""

from collections.abc import Iterator

from event_gateway.core.observability.attempt_history import TallyRow


class AttemptTally:
    """The attempts of one webhook in this process since they were published last.

    Deliveries of lifecycle events are left out: else an alert could be the cause of the next.
    """

    __slots__ = ("_touched", "age", "error", "failed", "succeeded", "trailing", "webhook")

    def __init__(self, webhook: str, touched: list["AttemptTally"]) -> None:
        self.webhook = webhook
        self._touched = touched
        self.succeeded = 0
        self.failed = 0
        self.trailing = 0
        self.age = 0.0
        self.error = ""

    def success(self, age: float) -> None:
        """Counts a success, ``age`` seconds after the receipt of the event; 0: not to be counted
        as the time of a delivery."""
        if not (self.succeeded or self.failed):
            self._touched.append(self)
        self.succeeded += 1
        self.trailing = 0
        if age > self.age:
            self.age = age

    def failure(self, age: float, error: str) -> None:
        """Counts a failure with its error type; ``age`` as in :meth:`success`."""
        if not (self.succeeded or self.failed):
            self._touched.append(self)
        self.failed += 1
        self.trailing += 1
        self.error = error
        if age > self.age:
            self.age = age

    def take(self) -> TallyRow:
        """What was counted, and begins again."""
        row = TallyRow(
            self.webhook, self.succeeded, self.failed, self.trailing, round(self.age, 3), self.error
        )
        self.succeeded = self.failed = self.trailing = 0
        self.age = 0.0
        self.error = ""
        return row


class AttemptTallies:
    """The tallies of all lanes. What has not changed costs nothing."""

    def __init__(self) -> None:
        self._touched: list[AttemptTally] = []

    def of(self, webhook_id: str) -> AttemptTally:
        """A new tally, for the lane of a webhook."""
        return AttemptTally(webhook_id, self._touched)

    def take(self) -> Iterator[TallyRow]:
        """What has changed since the last call."""
        touched = self._touched[:]
        self._touched.clear()
        for tally in touched:
            yield tally.take()
