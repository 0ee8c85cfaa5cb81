"""Connects sockets without a task for each: an attempt at a receiver that is down ends here."""

import asyncio
import errno
import math
import os
import socket
from collections.abc import Callable

import msgspec

PENDING = frozenset((errno.EINPROGRESS, errno.EINTR))  # it goes on after a signal, too
BETWEEN_LOOKS = 0.05  # seconds between two looks for sockets past their deadline, at the least
LATE_PER_TURN = 4  # of them that end in one turn of the event loop, which must not be blocked

# Called once, later: with the connected socket, or with the error.
Ended = Callable[[socket.socket | OSError], None]


def begin(address: str, port: int) -> tuple[socket.socket, int]:
    """A socket that connects to an IP address, and the error: 0 if it is connected, one of
    :data:`PENDING` while it connects. Raises OSError where there is no socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # With the protocol given, asyncio turns Nagle's algorithm off.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        # The loop's `sock_connect` would look the address up once more, which costs as much as all
        # else here.
        return sock, sock.connect_ex((address.encode(), port))
    except BaseException:
        sock.close()
        raise


class _Attempt(msgspec.Struct):
    """A socket that is being connected; ``deadline`` on the event loop's clock."""

    sock: socket.socket
    deadline: float
    ended: Ended


class Connecting:
    """The sockets that are being connected, by their file descriptors.

    One timer is for the deadlines of all of them: nearly all sockets are connected or refused
    before, and have no need of one. The event loop is given descriptors, as asyncio's would make a
    text of each socket.
    """

    def __init__(self) -> None:
        self._attempts: dict[int, _Attempt] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._look_at = math.inf  # when the timer ends, on the event loop's clock

    def __len__(self) -> int:
        return len(self._attempts)

    def connect(self, address: str, port: int, deadline: float, ended: Ended) -> None:
        """Connects to an IP address; calls ``ended`` with the result, after ``deadline`` (on the
        event loop's clock) with TimeoutError."""
        loop = asyncio.get_running_loop()
        try:
            sock, code = begin(address, port)
        except OSError as error:
            loop.call_soon(ended, error)
            return
        if code in PENDING:
            number = sock.fileno()
            try:
                loop.add_writer(number, self._ready, loop, number)
            except BaseException:
                sock.close()
                raise
            self._attempts[number] = _Attempt(sock, deadline, ended)
            if deadline < self._look_at:
                self._look_by(loop, deadline)
        else:
            loop.call_soon(ended, _result(sock, code))

    def close(self) -> None:
        """Connects none of them any more; ``ended`` is not called."""
        loop = asyncio.get_running_loop()
        for number, attempt in self._attempts.items():
            loop.remove_writer(number)
            attempt.sock.close()
        self._attempts.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._look_at = None, math.inf

    def _ready(self, loop: asyncio.AbstractEventLoop, number: int) -> None:
        loop.remove_writer(number)
        attempt = self._attempts.pop(number)
        sock = attempt.sock
        attempt.ended(_result(sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))

    def _look_by(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Looks for late sockets at a time that is before the next look."""
        if self._timer is not None:
            self._timer.cancel()
        self._look_at = at
        self._timer = loop.call_at(at, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ends the sockets whose deadline has passed."""
        now = loop.time()
        self._look_at = math.inf
        late, following = list[int](), math.inf
        for number, attempt in self._attempts.items():
            if attempt.deadline <= now:
                late.append(number)
            else:
                following = min(following, attempt.deadline)
        if len(late) > LATE_PER_TURN:
            self._look_by(loop, now + 0.001)
        elif following < math.inf:
            self._look_by(loop, max(following, now + BETWEEN_LOOKS))
        for number in late[:LATE_PER_TURN]:
            loop.remove_writer(number)
            attempt = self._attempts.pop(number)
            attempt.sock.close()
            loop.call_soon(attempt.ended, TimeoutError())


def _result(sock: socket.socket, code: int) -> socket.socket | OSError:
    if not code:
        return sock
    sock.close()
    return OSError(code, os.strerror(code))
