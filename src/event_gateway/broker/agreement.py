"""Whether all processes of the gateway use the same server of Redis.

After a failover each process finds the new primary by itself. One that comes late may acknowledge
events meanwhile whose records only the former primary has, which are lost with it.
"""

import time
from typing import NamedTuple

from event_gateway.broker.provision import ACK_WAIT

DEAD_AFTER = 3.5  # seconds without a heartbeat after which a process counts as dead
LISTENING = 2.5  # seconds in which every live process is heard
LONG = 30.0  # seconds without agreement after which it is reported


class _Other(NamedTuple):
    """What another process has said in its latest heartbeat."""

    place: str
    server: str | None
    heard_at: float  # on the monotonic clock


class Agreement:
    """Compares the server that this process uses with those of the other processes.

    A server is named by its identity; the name is empty for a process that has just begun, and None
    for a version of the gateway that does not tell, which is not waited for. A process that is not
    heard any more may stand still and go on: it is waited for as long as NATS waits for its
    acknowledgements.

    ``someone_left``: a process has ended, or is silent for so long, that used another server last.
    What it has acknowledged at the end may have no records here.
    """

    def __init__(self) -> None:
        self.server: str | None = None
        self.someone_left = False
        self._others: dict[str, _Other] = {}
        self._since = time.monotonic()  # when it began to hear the others, without a pause
        self._echo = self._since  # when it heard itself last
        self._reached_at = self._since

    def echoed(self) -> None:
        """This process has heard its own heartbeat, so it hears those of others, too."""
        now = time.monotonic()
        if now - self._echo > DEAD_AFTER:
            self._since = now
        self._echo = now

    def heard(self, process: str, place: str, server: str | None) -> None:
        """Another process has sent a heartbeat."""
        self._others[process] = _Other(place, server, time.monotonic())

    def left(self, process: str) -> None:
        """Another process has ended."""
        other = self._others.pop(process, None)
        if other is not None and self._differs(other):
            self.someone_left = True

    def is_reached(self) -> bool:
        """Whether every process that may acknowledge events uses the server that this one uses."""
        now = time.monotonic()
        for process, other in list(self._others.items()):
            if now - other.heard_at > ACK_WAIT:
                self.left(process)
        hears = now - self._echo <= DEAD_AFTER and now - self._since >= LISTENING
        reached = hears and not any(self._differs(other) for other in self._others.values())
        if reached:
            self._reached_at = now
        return reached

    @property
    def waits_long_for(self) -> list[str]:
        """The processes with another server, as ``host/process id``, if that has been so for LONG
        seconds."""
        if time.monotonic() - self._reached_at < LONG:
            return []
        return sorted(other.place for other in self._others.values() if self._differs(other))

    def _differs(self, other: _Other) -> bool:
        return other.server not in (self.server, None)
