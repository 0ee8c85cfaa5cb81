"""Exchanges the tallies of attempts between the processes, so that each has the whole history.

Each process publishes what its lanes have counted, every few seconds, to ``eg.tally.<process>``
(plain NATS). A tally that is lost is missing in the windows of the other processes.
"""

import time
from collections.abc import Callable, Container, Iterable

import msgspec
from msgspec.structs import replace
from nats.aio.msg import Msg

from event_gateway.beats import beat
from event_gateway.broker.connection import Broker
from event_gateway.core.observability.alert_rules import AlertSettings
from event_gateway.core.observability.attempt_history import AttemptHistory, TallyRow
from event_gateway.core.observability.clock_watch import ClockWatch
from event_gateway.core.observability.steady_time import Elapsed
from event_gateway.observability.alerts.tally import AttemptTallies

SUBJECT = "eg.tally"
LONGEST_INTERVAL = 5.0  # seconds between two tallies, and between two evaluations
SHORTEST_INTERVAL = 0.5
PARTS = 10.0  # of the shortest window: what is shorter than one of them is not told apart
RECENT = 3  # intervals for which the age of an event at its attempt counts
MAX_ROWS = 1000  # of a message
MAX_AGE = 10 * 365 * 86400.0  # seconds
MAX_ERROR = 64  # characters of an error type
LEAST_WAIT = 2.0  # seconds that an ordered webhook's event has waited, from which on it is told


class Tally(msgspec.Struct, array_like=True):
    """A message: what a process has counted."""

    process: str
    rows: list[TallyRow]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Tally).decode


def interval_of(settings: AlertSettings) -> float:
    """Seconds between two tallies, and between two evaluations."""
    return min(max(min(settings.windows) / PARTS, SHORTEST_INTERVAL), LONGEST_INTERVAL)


class TallyExchange:
    """Publishes the ``tallies`` of this process, and adds those of all processes to ``history``.

    ``known``: the webhooks that are registered; tallies of others are dropped. ``waiting``: since
    when (Unix time) the oldest unfinished event of each ordered webhook of this process waits.
    """

    def __init__(
        self,
        broker: Broker,
        process: str,
        tallies: AttemptTallies,
        history: AttemptHistory,
        *,
        settings: AlertSettings,
        known: Container[str],
        waiting: Callable[[], Iterable[tuple[str, float]]],
    ) -> None:
        self._broker = broker
        self._process = process
        self._tallies = tallies
        self._history = history
        self._known = known
        self._waiting = waiting
        self._interval = interval_of(settings)
        self._clock = ClockWatch()
        self._waited = Elapsed()  # of the events of ordered webhooks

    @property
    def recent(self) -> float:
        """Seconds for which the age of an event at its attempt counts."""
        return RECENT * self._interval

    def configure(self, settings: AlertSettings) -> None:
        """Applies other lengths of the windows."""
        self._interval = interval_of(settings)

    async def start(self) -> None:
        """Starts to receive tallies. Raises what BrokerError names."""
        await self._broker.nc.subscribe(f"{SUBJECT}.*", cb=self._on_tally)

    async def run(self) -> None:
        """Publishes tallies for ever; nothing where nothing has changed."""
        while True:
            await beat(self._interval)
            self.publish()

    def publish(self) -> None:
        """Publishes what this process has counted, and adds it to its own history."""
        tick = time.monotonic()
        rows = self.rows(time.time(), tick)
        for begin in range(0, len(rows), MAX_ROWS):
            tally = Tally(self._process, rows[begin : begin + MAX_ROWS])
            self._broker.post(f"{SUBJECT}.{self._process}", _encode(tally))
        self._add(rows, tick)

    def rows(self, now: float, tick: float) -> list[TallyRow]:
        """What this process has counted since the last call. ``now``: Unix time; ``tick``: on a
        clock that is never set."""
        rows = list(self._tallies.take())
        is_set = self._clock.look(now, tick) is not None
        if is_set:
            # Ages of events that came before the clock was set would be wrong.
            rows = [replace(row, age=0.0) for row in rows]
        waiting = dict(self._waiting())
        self._waited.keep(waiting.keys())
        rows += [
            TallyRow(webhook, 0, 0, 0, round(waited, 3), "")
            for webhook, since in waiting.items()
            if (waited := self._waited.since(webhook, since, now, tick, trusted=not is_set))
            >= LEAST_WAIT
        ]
        return rows

    async def _on_tally(self, msg: Msg) -> None:
        try:
            tally = _decode(msg.data)
        except msgspec.DecodeError:
            return  # from another version
        if tally.process != self._process:
            self._add(tally.rows[:MAX_ROWS], time.monotonic())

    def _add(self, rows: Iterable[TallyRow], tick: float) -> None:
        for row in rows:
            counts = (row.succeeded, row.failed, row.trailing)
            possible = min(counts) >= 0 and 0 <= row.age <= MAX_AGE and len(row.error) <= MAX_ERROR
            if possible and row.webhook in self._known:
                self._history.add(row, tick, self.recent)
