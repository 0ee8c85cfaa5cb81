"""A live subscriber: its place in a stream, and what it gets of it."""

from collections.abc import Callable, Sequence

from event_gateway.state.durables import Name
from event_gateway.streaming.framing import Framing
from event_gateway.streaming.message import Message
from event_gateway.streaming.outbox import Outbox
from event_gateway.streaming.selections import Wants


class Subscriber:
    """One subscription. ``position`` is the sequence up to which it has got all.

    ``gone(id, code)`` is called once where its subscription ends without its own doing.
    ``subjects`` are what it listens to where it has no ``stream``, ``durable`` the name
    that keeps its position.
    """

    __slots__ = (
        "durable", "framing", "gone", "id", "lagging", "outbox", "position", "principal", "sent",
        "since", "source", "start", "stream", "subjects", "wants",
    )  # fmt: skip

    def __init__(
        self,
        subscription_id: str,
        stream: str | None,
        source: str,
        outbox: Outbox,
        framing: Framing,
        gone: Callable[[str, str], None],
        wants: Wants | None,
    ) -> None:
        self.id = subscription_id
        self.stream = stream
        self.source = source
        self.outbox = outbox
        self.framing = framing
        self.gone = gone
        self.wants = wants
        self.position = 0
        self.sent = 0
        self.lagging = False
        self.principal = ""
        self.since = 0.0
        self.start = ""
        self.subjects: tuple[str, ...] = ()
        self.durable: Name | None = None

    def offer(self, messages: Sequence[Message]) -> bool:
        """Takes what is behind its position; False where its buffer is full before the end."""
        outbox, wants = self.outbox, self.wants
        for message in messages:
            if message.seq <= self.position:
                continue
            if outbox.full:
                outbox.flush()
                if outbox.full:
                    return False
            if message.received is not None:
                if wants is None or wants(message):
                    outbox.put(*self.framing.event(message))
                    self.sent += 1
            elif message.missed:
                self.missed(max(message.missed, self.position + 1), message.seq)
            self.position = message.seq
        outbox.flush()
        return True

    def missed(self, first: int, last: int) -> None:
        """Tells it what the log has dropped before it could have it."""
        frame = self.framing.said("missed", {"first": first, "last": last})
        if frame is None:
            self.gone(self.id, f"missed {first}-{last}")
            return
        self.outbox.put(*frame)
        self.outbox.flush()

    def tell(self, what: str) -> None:
        """Tells it of its state: ``lagging`` or ``caught_up``."""
        frame = self.framing.said(what, {"seq": self.position})
        if frame is not None:
            self.outbox.put(*frame)
            self.outbox.flush()
