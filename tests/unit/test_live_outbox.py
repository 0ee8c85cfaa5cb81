"""The frames that wait for a live connection's socket."""

from event_gateway.streaming.outbox import Budget, Outbox, Piece


class _Socket:
    """A socket that may be full. ``sent``: the frames in the order in which they left."""

    def __init__(self) -> None:
        self.writable = True
        self.sent: list[bytes] = []

    def send_now(self, own: bytes, shared: bytes) -> bool:
        if self.writable:
            self.sent.append(own + shared)
        return self.writable

    def flush(self, outbox: Outbox) -> None:
        if self.writable:
            self.sent += [own + shared for own, shared in outbox.take()]


def test_a_frame_alone_goes_out_at_once() -> None:
    socket, budget = _Socket(), Budget()
    outbox = Outbox(budget, socket.flush, socket.send_now)
    outbox.send(b"a", b"1")
    assert (socket.sent, outbox.bytes, budget.used) == ([b"a1"], 0, 0)


def test_no_frame_overtakes_one_that_waits() -> None:
    socket, budget = _Socket(), Budget()
    outbox = Outbox(budget, socket.flush, socket.send_now)
    socket.writable = False
    outbox.send(b"a", b"1")
    assert (socket.sent, outbox.bytes, budget.used) == ([], 2, 2)
    socket.writable = True
    outbox.send(b"b", b"2")
    outbox.flush()
    outbox.send(b"c", b"3")
    assert (socket.sent, outbox.bytes, budget.used) == ([b"a1", b"b2", b"c3"], 0, 0)


def test_without_a_way_past_the_buffer_frames_wait_for_the_flush() -> None:
    taken: list[Piece] = []
    outbox = Outbox(Budget(), lambda full: taken.extend(full.take()))
    outbox.send(b"a", b"1")
    assert not taken
    outbox.flush()
    assert taken == [(b"a", b"1")]
