"""A subscriber: its position in a stream, its filter, and its connection."""

from collections.abc import Callable, Sequence

from event_gateway.state.durables import Name
from event_gateway.streaming.framing import Framing
from event_gateway.streaming.message_filter import MessageFilter
from event_gateway.streaming.outbox import Outbox
from event_gateway.streaming.stream_message import StreamMessage


class Subscriber:
    """One subscription. ``position`` is the sequence up to which it has received all.

    ``on_ended(id, code)`` is called once if the gateway ends the subscription. ``subjects`` are the
    patterns of a subscription without a ``stream``; ``durable`` is the name under which its
    acknowledged position is stored.
    """

    __slots__ = (
        "durable", "framing", "id", "lagging", "on_ended", "outbox", "passes", "position",
        "principal", "sent", "since", "source", "start", "stream", "subjects",
    )  # fmt: skip

    def __init__(
        self,
        subscription_id: str,
        stream: str | None,
        source: str,
        outbox: Outbox,
        framing: Framing,
        on_ended: Callable[[str, str], None],
        passes: MessageFilter | None,
    ) -> None:
        self.id = subscription_id
        self.stream = stream
        self.source = source
        self.outbox = outbox
        self.framing = framing
        self.on_ended = on_ended
        self.passes = passes
        self.position = 0
        self.sent = 0
        self.lagging = False
        self.principal = ""
        self.since = 0.0
        self.start = ""
        self.subjects: tuple[str, ...] = ()
        self.durable: Name | None = None

    def offer(self, messages: Sequence[StreamMessage]) -> bool:
        """Sends the messages after its position; False if its buffer is full before the end."""
        outbox, passes = self.outbox, self.passes
        for message in messages:
            if message.seq <= self.position:
                continue
            if outbox.full:
                outbox.flush()
                if outbox.full:
                    return False
            if message.received is not None:
                if passes is None or passes(message):
                    outbox.put(*self.framing.event(message))
                    self.sent += 1
            elif message.missed:
                self.missed(max(message.missed, self.position + 1), message.seq)
            self.position = message.seq
        outbox.flush()
        return True

    def missed(self, first: int, last: int) -> None:
        """Tells the client which sequences the stream dropped before they could be sent."""
        frame = self.framing.notice("missed", {"first": first, "last": last})
        if frame is None:
            self.on_ended(self.id, f"missed {first}-{last}")
            return
        self.outbox.put(*frame)
        self.outbox.flush()

    def notify(self, state: str) -> None:
        """Tells the client its state: ``lagging`` or ``caught_up``."""
        frame = self.framing.notice(state, {"seq": self.position})
        if frame is not None:
            self.outbox.put(*frame)
            self.outbox.flush()
