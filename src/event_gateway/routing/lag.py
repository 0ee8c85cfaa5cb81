"""How far the routers are behind: events of the log that are not routed yet."""

import json
import time
from collections.abc import Callable, Sequence

import msgspec
import structlog
from nats.js.errors import APIError, NotFoundError

from event_gateway.beats import beat
from event_gateway.broker.connection import REQUEST_TIMEOUT, Broker, BrokerError
from event_gateway.broker.consumer_state import ConsumerState, consumer_state
from event_gateway.broker.provision import ROUTER
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import ROUTING_LAG
from event_gateway.core.text.times import parse_time
from event_gateway.observability.metrics import Metrics
from event_gateway.routing.router_positions import RouterPositions

log = structlog.get_logger(__name__)

LOOK = 1.0  # seconds between two measurements
CALM = 2.0  # while all events are routed
LOOK_BEHIND = 0.25  # while a router is far behind
FAR = 1000  # events that the routers have not taken yet, from which on they are far behind
TOO_OLD = 10.0  # seconds for which an event may wait to be routed before the health is degraded


class Behind(msgspec.Struct, frozen=True):
    """How far the router of a stream is behind.

    ``events``: those that are not acknowledged; ``untaken``: those of them that no process has
    taken yet, which begin after the sequence ``taken``. ``oldest``: when the log took the
    oldest event that is not acknowledged, Unix time, None where there is none.
    """

    events: int
    untaken: int
    taken: int
    oldest: float | None


class RouterLag:
    """Measures the lag of the routers of ``streams()``, over all processes."""

    def __init__(
        self,
        broker: Broker,
        streams: Callable[[], Sequence[str]],
        positions: RouterPositions,
        metrics: Metrics,
    ) -> None:
        self._broker = broker
        self._streams = streams
        self._positions = positions
        self._metrics = metrics
        self._behind: dict[str, Behind] = {}
        self._oldest: dict[str, tuple[int, float | None]] = {}  # for :func:`_behind`

    @property
    def reasons(self) -> list[Reason]:
        """Why the gateway's health is degraded: events that have waited too long for a router."""
        now = time.time()
        return [
            Reason(
                ROUTING_LAG,
                f"the router of {stream} is {behind.events} events behind, the oldest has waited "
                f"{now - behind.oldest:.0f} s",
                stream,
            )
            for stream, behind in self._behind.items()
            if behind.oldest is not None and now - behind.oldest > TOO_OLD
        ]

    @property
    def behind(self) -> tuple[int, float]:
        """How many events are not routed yet, and for how many seconds the oldest has waited, at
        the last measurement."""
        oldest = [each.oldest for each in self._behind.values() if each.oldest is not None]
        waited = max(time.time() - min(oldest), 0.0) if oldest else 0.0
        return sum(each.events for each in self._behind.values()), waited

    @property
    def waited(self) -> float | None:
        """For how many seconds the oldest event has waited for its router; None before the first
        measurement."""
        if not self._behind:
            return None
        now = time.time()
        return max(
            0.0 if each.oldest is None else now - each.oldest for each in self._behind.values()
        )

    def untaken(self, stream: str) -> int:
        """Events of a stream that no process had taken at the last measurement."""
        behind = self._behind.get(stream)
        return 0 if behind is None else behind.untaken

    async def run(self) -> None:
        """Measures for ever."""
        while True:
            streams = self._streams()
            for stream in self._behind.keys() - set(streams):
                del self._behind[stream]
            for stream in streams:
                try:
                    await self._measure(stream)
                except (*BrokerError, APIError) as error:
                    log.debug("lag not measured", stream=stream, error=repr(error))
            await beat(self._pause)

    @property
    def _pause(self) -> float:
        """Seconds until the next measurement."""
        behind = self._behind.values()
        if any(each.untaken > FAR for each in behind):
            return LOOK_BEHIND
        return LOOK if any(each.events for each in behind) else CALM

    async def _measure(self, stream: str) -> None:
        try:
            state = await self._positions.read(stream)
        except NotFoundError:
            state = ConsumerState()  # the router creates it again
        self._behind[stream] = await _behind(self._broker, stream, state, self._oldest)
        self._metrics.lag(*self.behind)


async def measure(
    broker: Broker, stream: str, known: dict[str, tuple[int, float | None]]
) -> Behind:
    """Measures how far the router of a stream is behind at this moment.

    ``known`` remembers for the next call, by stream, the ack floor and when the log took the event
    after it. Raises what BrokerError names, and APIError.
    """
    try:
        state = await consumer_state(broker, stream, ROUTER)
    except NotFoundError:
        state = ConsumerState()
    return await _behind(broker, stream, state, known)


async def _behind(
    broker: Broker, stream: str, state: ConsumerState, known: dict[str, tuple[int, float | None]]
) -> Behind:
    untaken, taken = state.num_pending, state.delivered.stream_seq
    events = untaken + state.num_ack_pending
    floor = state.ack_floor.stream_seq
    if not events:
        return Behind(0, 0, taken, None)
    if known.get(stream, (-1, None))[0] != floor:
        known[stream] = (floor, await _time_after(broker, stream, floor))
    return Behind(events, untaken, taken, known[stream][1])


async def _time_after(broker: Broker, stream: str, seq: int) -> float | None:
    """When the log took the first message after a sequence; None where there is none."""
    request = json.dumps({"seq": seq + 1, "next_by_subj": ">"}).encode()
    answer = await broker.nc.request(
        f"$JS.API.STREAM.MSG.GET.{stream}", request, timeout=REQUEST_TIMEOUT
    )
    message = json.loads(answer.data).get("message")
    return None if message is None else parse_time(message["time"])
