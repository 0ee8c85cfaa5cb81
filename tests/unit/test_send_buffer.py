"""The frames that wait for a live connection's socket."""

import msgspec

from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import from_structured
from event_gateway.streaming.framing import BareFraming
from event_gateway.streaming.send_buffer import BufferBudget, Piece, SendBuffer
from event_gateway.streaming.stream_message import StreamMessage
from event_gateway.streaming.subscriber import Subscriber


class _Socket:
    """A socket that may be full. ``sent``: the frames in the order in which they left."""

    def __init__(self) -> None:
        self.writable = True
        self.sent: list[bytes] = []

    def send_now(self, own: bytes, shared: bytes) -> bool:
        if self.writable:
            self.sent.append(own + shared)
        return self.writable

    def flush(self, buffer: SendBuffer) -> None:
        if self.writable:
            self.sent += [own + shared for own, shared in buffer.take()]


def _subscriber(buffer: SendBuffer) -> Subscriber:
    return Subscriber(
        "sub_1", source="S", stream="s", subjects=(), durable=None, principal="p", owner=(),
        key="k", start="", since=0.0, buffer=buffer, framing=BareFraming(), passes=None,
        on_ended=lambda subscription_id, code: None,
    )  # fmt: skip


def _event(seq: int) -> StreamMessage:
    attributes = {"id": str(seq), "source": "s", "type": "t", "specversion": "1.0"}
    event = from_structured(msgspec.json.encode(attributes))
    return StreamMessage(seq, "t", Received(event, "S", seq, 0.0, "nats"))


def test_a_message_alone_goes_out_at_once() -> None:
    socket, budget = _Socket(), BufferBudget()
    buffer = SendBuffer(budget, socket.flush)
    buffer.send_now = socket.send_now
    subscriber = _subscriber(buffer)
    assert subscriber.send_now(_event(1))
    assert (len(socket.sent), buffer.bytes, budget.used) == (1, 0, 0)
    assert (subscriber.sent, subscriber.position, subscriber.last_event) == (1, 1, 1)
    assert not subscriber.send_now(_event(1))  # it has that one
    assert not subscriber.send_now(StreamMessage(2))  # no event
    assert subscriber.position == 1


def test_a_message_that_the_filter_leaves_out_moves_the_position() -> None:
    socket = _Socket()
    buffer = SendBuffer(BufferBudget(), socket.flush)
    buffer.send_now = socket.send_now
    subscriber = _subscriber(buffer)
    subscriber.passes = lambda message: message.seq != 1
    assert subscriber.send_now(_event(1))
    assert (socket.sent, subscriber.sent, subscriber.position) == ([], 0, 1)
    assert subscriber.send_now(_event(2))
    assert (len(socket.sent), subscriber.last_event) == (1, 2)


def test_no_message_overtakes_one_that_waits() -> None:
    socket, budget = _Socket(), BufferBudget()
    buffer = SendBuffer(budget, socket.flush)
    buffer.send_now = socket.send_now
    subscriber = _subscriber(buffer)
    socket.writable = False
    assert not subscriber.send_now(_event(1))
    assert subscriber.offer([_event(1)])
    assert (socket.sent, subscriber.position) == ([], 1)
    assert buffer.bytes == budget.used > 0
    socket.writable = True
    assert not subscriber.send_now(_event(2))
    assert subscriber.offer([_event(2)])
    assert subscriber.send_now(_event(3))
    assert [msgspec.json.decode(frame)["id"] for frame in socket.sent] == ["1", "2", "3"]
    assert (buffer.bytes, budget.used) == (0, 0)


def test_without_a_way_past_the_buffer_messages_are_offered() -> None:
    taken: list[Piece] = []
    subscriber = _subscriber(SendBuffer(BufferBudget(), lambda buffer: taken.extend(buffer.take())))
    assert not subscriber.send_now(_event(1))
    assert subscriber.offer([_event(1)])
    assert len(taken) == 1
