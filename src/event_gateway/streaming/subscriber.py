"""A subscriber: its position in a stream, its filter, and its connection."""

from collections.abc import Callable, Sequence

from event_gateway.state.durables import Name
from event_gateway.streaming.framing import Framing
from event_gateway.streaming.message_filter import MessageFilter
from event_gateway.streaming.send_buffer import SendBuffer
from event_gateway.streaming.start_position import Gap
from event_gateway.streaming.stream_message import StreamMessage


class Subscriber:
    """One subscription to the JetStream stream ``source``.

    ``position``: the sequence up to which it has received all that its filter passes.
    ``last_event``: the last sequence that was sent, or where the subscription began; ``told``: the
    last position that was told without an event; ``acked``: up to where a client with a durable
    name has acknowledged. ``stream``: the named stream; without one, ``subjects`` are the patterns.
    ``passes`` selects the messages that it gets; None: all. ``on_ended(id, code)`` is called once
    if the gateway ends the subscription. ``durable``: the name under which its acknowledged
    position is stored. ``start``: the start position as JSON, as the client gave it; ``since``:
    when it began, in seconds since the epoch. ``principal``: the name of its caller, ``owner`` its
    namespaces; ``key``: the method by which the caller has proved itself, and the id of its key,
    with a colon in between.
    """

    __slots__ = (
        "acked", "buffer", "durable", "framing", "id", "key", "lagging", "last_event", "on_ended",
        "owner", "passes", "position", "principal", "sent", "since", "source", "start", "stream",
        "subjects", "told",
    )  # fmt: skip

    def __init__(
        self,
        subscription_id: str,
        *,
        source: str,
        stream: str | None,
        subjects: tuple[str, ...],
        durable: Name | None,
        principal: str,
        owner: tuple[str, ...],
        key: str,
        start: str,
        since: float,
        buffer: SendBuffer,
        framing: Framing,
        passes: MessageFilter | None,
        on_ended: Callable[[str, str], None],
    ) -> None:
        self.id = subscription_id
        self.source = source
        self.stream = stream
        self.subjects = subjects
        self.durable = durable
        self.principal = principal
        self.owner = owner
        self.key = key
        self.start = start
        self.since = since
        self.buffer = buffer
        self.framing = framing
        self.passes = passes
        self.on_ended = on_ended
        self.position = self.last_event = self.told = self.acked = 0
        self.sent = 0
        self.lagging = False

    def begin(self, position: int) -> None:
        """Sets where the subscription begins: the sequence before its first message."""
        self.position = self.last_event = self.told = self.acked = position

    def send_now(self, message: StreamMessage) -> bool:
        """Sends one message past the buffer. False if it has to be offered: another waits, the
        socket does not take it now, or there is no event."""
        buffer = self.buffer
        send, seq = buffer.send_now, message.seq
        if send is None or buffer.bytes or message.received is None or seq <= self.position:
            return False
        passes = self.passes
        if passes is None or passes(message):
            if not send(*self.framing.event(message)):
                return False
            self.sent += 1
            self.last_event = seq
        self.position = seq
        return True

    def offer(self, messages: Sequence[StreamMessage]) -> bool:
        """Sends the messages after its position; False if its buffer is full before the end."""
        buffer, passes, event = self.buffer, self.passes, self.framing.event
        for message in messages:
            if message.seq <= self.position:
                continue
            if buffer.full:
                buffer.flush()
                if buffer.full:
                    return False
            if message.received is not None:
                if passes is None or passes(message):
                    buffer.put(*event(message))
                    self.sent += 1
                    self.last_event = message.seq
            elif message.missed:
                first = max(message.missed, self.position + 1)
                self.missed(Gap(first, message.seq, recreated=False))
            self.position = message.seq
        buffer.flush()
        return True

    def missed(self, gap: Gap) -> None:
        """Tells the client which sequences the stream does not have any more."""
        frame = self.framing.notice("missed", gap.members())
        if frame is None:
            reason = f"missed {gap.first}-{gap.last}"
            self.on_ended(self.id, "stream_recreated" if gap.recreated else reason)
            return
        self.buffer.put(*frame)
        self.buffer.flush()

    def tell_position(self) -> None:
        """Tells the client to resume behind its position, if messages were left out since the last
        event: the stream may drop them, and the client would be told that it missed them."""
        if self.position <= max(self.told, self.last_event) or self.buffer.full:
            return
        frame = self.framing.position(self.position)
        if frame is not None:
            self.told = self.position
            self.buffer.put(*frame)
            self.buffer.flush()

    def notify(self, state: str) -> None:
        """Tells the client its state: ``lagging`` or ``caught_up``."""
        frame = self.framing.notice(state, {"seq": self.position})
        if frame is not None:
            self.buffer.put(*frame)
            self.buffer.flush()
