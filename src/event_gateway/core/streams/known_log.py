"""What the gateway knows of a JetStream stream that it reads by sequence."""

import msgspec

MAX_RESETS = 100  # of a log; the oldest are forgotten first


class Reset(msgspec.Struct, frozen=True):
    """The gateway found at ``at`` (Unix time) that the sequences of a log had gone back.

    What it knew of sequences above ``floor`` was of messages that the log does not hold.
    """

    at: float
    floor: int


class LogLoss(msgspec.Struct, frozen=True):
    """The gateway found at ``at`` (Unix time) that the log with the messages up to ``last_seq`` was
    gone: this one took its place."""

    at: float
    last_seq: int


class KnownLog(msgspec.Struct, frozen=True, omit_defaults=True):
    """The identity of a log. ``created``: when JetStream created it; ``resets``, oldest first.
    ``loss``: that of the former one, until an operator has confirmed it."""

    created: str
    resets: tuple[Reset, ...] = ()
    loss: LogLoss | None = None

    @property
    def reset_at(self) -> float:
        """When the sequences went back the last time, Unix time; 0 if they never did."""
        return self.resets[-1].at if self.resets else 0.0

    @property
    def floor(self) -> int:
        """The floor of the last reset; 0 if there was none."""
        return self.resets[-1].floor if self.resets else 0

    def after_reset(self, created: str, at: float, floor: int) -> "KnownLog":
        """The identity after one more reset."""
        return KnownLog(created, (*self.resets, Reset(at, floor))[-MAX_RESETS:], self.loss)

    def lowered(self, seq: int, noted_at: float) -> int:
        """What a sequence that was noted at a time (Unix time) is worth in the present log."""
        floors = [reset.floor for reset in self.resets if noted_at < reset.at]
        return min([seq, *floors])
