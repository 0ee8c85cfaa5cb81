"""Connects sockets without a task for each: an attempt at a receiver that is down ends here."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable

PENDING = frozenset((errno.EINPROGRESS, errno.EINTR))  # it goes on after a signal, too

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


class Connecting:
    """The sockets that are being connected, each with the timer of its deadline."""

    def __init__(self) -> None:
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._timers)

    def connect(self, address: str, port: int, deadline: float, ended: Ended) -> None:
        """Connects to an IP address; calls ``ended`` with the result, at ``deadline`` (on the event
        loop's clock) with TimeoutError."""
        loop = asyncio.get_running_loop()
        try:
            sock, code = begin(address, port)
        except OSError as error:
            loop.call_soon(ended, error)
            return
        if code in PENDING:
            try:
                loop.add_writer(sock, self._ready, loop, sock, ended)
            except BaseException:
                sock.close()
                raise
            self._timers[sock] = loop.call_at(deadline, self._late, loop, sock, ended)
        else:
            loop.call_soon(ended, _result(sock, code))

    def close(self) -> None:
        """Connects none of them any more; ``ended`` is not called."""
        loop = asyncio.get_running_loop()
        for sock in list(self._timers):
            self._forget(loop, sock)
            sock.close()

    def _ready(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, ended: Ended) -> None:
        self._forget(loop, sock)
        ended(_result(sock, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))

    def _late(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, ended: Ended) -> None:
        self._forget(loop, sock)
        sock.close()
        ended(TimeoutError())

    def _forget(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        loop.remove_writer(sock)
        self._timers.pop(sock).cancel()


def _result(sock: socket.socket, code: int) -> socket.socket | OSError:
    if not code:
        return sock
    sock.close()
    return OSError(code, os.strerror(code))
