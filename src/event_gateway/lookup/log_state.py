"""How far a stream of the log reaches, and how far the router and the index of events are in it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence

import msgspec
from nats.js.errors import NotFoundError

from event_gateway.broker.connection import Broker
from event_gateway.broker.failures import failure
from event_gateway.broker.log_search import UNREADABLE
from event_gateway.broker.provision import ROUTER
from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.streams.definition import LIFECYCLE
from event_gateway.core.text.times import rfc3339_or_none
from event_gateway.state.event_index import EventIndex
from event_gateway.state.index_entries import DAY


class LogState(msgspec.Struct, frozen=True):
    """``first`` and ``last`` are the sequences of a stream; in an empty one ``first`` is higher.
    ``first_time`` and ``last_time`` are when these were stored, in seconds since the epoch.

    ``settled``: up to this sequence the router has acknowledged every event; ``taken``: the last
    one that it has taken. ``indexed``: the index has every event from this sequence on that the
    router has taken. ``messages``: how many messages the stream holds. ``rereading``: Redis may
    have lost entries of the index, and the log is being read again; as it is not known which are
    missing, ``indexed`` is behind the last event until that has ended.
    """

    stream: str
    first: int
    last: int
    first_time: float | None
    last_time: float | None
    settled: int
    taken: int
    indexed: int
    messages: int = 0
    rereading: bool = False

    @property
    def days(self) -> Iterable[int]:
        """The days of the stream's events, the newest first."""
        if self.first_time is None or self.last_time is None:
            return ()
        return range(int(self.last_time) // DAY, int(self.first_time) // DAY - 1, -1)

    def shown(self, *, sequences: bool) -> dict[str, object]:
        """As the API shows what was searched."""
        bounds = {"first_sequence": self.first, "last_sequence": self.last} if sequences else {}
        return {
            "stream": self.stream,
            **bounds,
            "begins_at": rfc3339_or_none(self.first_time),
            "ends_at": rfc3339_or_none(self.last_time),
        }


async def log_state(broker: Broker, index: EventIndex, stream: str) -> LogState:
    """The state of a stream. Raises LogUnavailable, and the exceptions in StateError."""
    settled = taken = 0
    try:
        state = (await broker.js.stream_info(stream)).state
        first, last = max(state.first_seq, 1), state.last_seq
        first_time = last_time = None
        if state.messages:
            with contextlib.suppress(NotFoundError):  # dropped in between
                oldest = await broker.js.get_msg(stream, seq=first)
                newest = await broker.js.get_msg(stream, seq=last)
                first_time = oldest.time.timestamp() if oldest.time else None
                last_time = newest.time.timestamp() if newest.time else None
        with contextlib.suppress(NotFoundError):  # the router creates it again
            router = await broker.js.consumer_info(stream, ROUTER)
            settled = router.ack_floor.stream_seq if router.ack_floor else 0
            taken = router.delivered.stream_seq if router.delivered else 0
    except NotFoundError:
        return LogState(stream, 1, 0, None, None, 0, 0, 1)
    except UNREADABLE as error:
        raise failure(broker, error) from None
    begins, rereading = await index.extent(stream)
    return LogState(
        stream, first, last, first_time, last_time, settled, taken,
        last + 1 if begins is None or rereading else begins, state.messages, rereading,
    )  # fmt: skip


class LogStates:
    """Reads the states of streams. ``streams()`` are those that are routed, but for lifecycle
    events."""

    def __init__(
        self, broker: Broker, index: EventIndex, streams: Callable[[], Sequence[str]]
    ) -> None:
        self._broker = broker
        self._index = index
        self._streams = streams

    async def of(self, event_type: str | None = None) -> list[LogState]:
        """The states of the streams that have events of a type: for lifecycle events their own
        log. Raises LogUnavailable, and the exceptions in StateError."""
        streams = self._streams()
        if event_type is not None and is_lifecycle(event_type):
            streams = (LIFECYCLE,)
        return list(
            await asyncio.gather(
                *(log_state(self._broker, self._index, stream) for stream in streams)
            )
        )
