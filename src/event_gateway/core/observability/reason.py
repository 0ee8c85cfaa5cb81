"""Reasons why the gateway's health is degraded: as one process sees them, and over all."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

MAX_REASONS = 20  # of a process, in its heartbeat
MAX_TEXT = 200  # characters of a reason's text in a heartbeat
MAX_UNITED = 50  # of all processes together
MAX_PROCESSES = 20  # that are named for one reason


class Reason(msgspec.Struct, frozen=True):
    """A reason as one process sees it.

    ``code`` is one of :data:`.reason_codes.CODES`; ``about`` tells it from others of the code (a
    stream, a task); ``since``: when the process saw it first, in seconds since the epoch, 0 before
    that is noted. The text may change while the reason is the same.
    """

    code: str
    text: str
    about: str = ""
    since: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same reason, whatever its text says at the moment."""
        return self.code, self.about


class UnitedReason(msgspec.Struct, frozen=True):
    """A reason over all processes: ``since`` is when the first of them saw it, ``processes`` are
    those that see it now."""

    code: str
    text: str
    about: str
    since: float
    processes: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        """As :attr:`Reason.key`."""
        return self.code, self.about


class OwnReasons:
    """Notes since when this process sees each reason."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def noted(self, reasons: Iterable[Reason], now: float) -> list[Reason]:
        """The reasons with ``since``; those that are not among them any more are forgotten."""
        current = {reason.key: reason for reason in reasons}
        self._since = {key: self._since.get(key, now) for key in current}
        return [
            msgspec.structs.replace(reason, since=self._since[key])
            for key, reason in current.items()
        ]


def shortened(reasons: Sequence[Reason]) -> list[Reason]:
    """At most MAX_REASONS reasons, with texts of at most MAX_TEXT characters, for a heartbeat."""
    return [
        msgspec.structs.replace(
            reason, text=_cut(reason.text, MAX_TEXT), about=_cut(reason.about, MAX_TEXT)
        )
        for reason in reasons[:MAX_REASONS]
    ]


def unite(by_process: Mapping[str, Sequence[Reason]]) -> list[UnitedReason]:
    """The reasons of all processes, the oldest first, at most MAX_UNITED."""
    united: dict[tuple[str, str], UnitedReason] = {}
    for process, reasons in by_process.items():
        for reason in reasons:
            known = united.get(reason.key)
            if known is None:
                united[reason.key] = UnitedReason(
                    reason.code, reason.text, reason.about, reason.since, (process,)
                )
            else:
                united[reason.key] = msgspec.structs.replace(
                    known,
                    since=min(known.since, reason.since),
                    processes=(*known.processes, process)[:MAX_PROCESSES],
                )
    return sorted(united.values(), key=lambda reason: (reason.since, reason.key))[:MAX_UNITED]


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
