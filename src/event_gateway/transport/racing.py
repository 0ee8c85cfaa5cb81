"""Connects to the first of several addresses that answers, as RFC 8305 ("happy eyeballs") says."""

import asyncio
import errno
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from itertools import chain, zip_longest

from event_gateway.tasks import end, spawn
from event_gateway.transport.connecting import PENDING, begin

# Seconds after which the next address is tried beside one that has not answered (RFC 8305, 5).
ATTEMPT_DELAY = 0.25

# Errors of this machine and not of the other side: no socket is left.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

Connect = Callable[[str], Awaitable[socket.socket]]


async def first_connected(connect: Connect, addresses: Sequence[str]) -> tuple[str, socket.socket]:
    """The first address that ``connect`` reaches, with its socket.

    The next address is tried once the one before has failed, or has not answered for
    :data:`ATTEMPT_DELAY`. Raises OSError, that of the last address, if all fail, and at once what
    else ``connect`` raises. It has no time limit of its own. Other connections are closed.
    """
    if len(addresses) == 1:
        return addresses[0], await connect(addresses[0])
    waiting, racing = deque(addresses), dict[asyncio.Task[socket.socket | Exception], str]()
    error = OSError("no address")
    connected: socket.socket | None = None
    try:
        while waiting or racing:
            if waiting:
                address = waiting.popleft()
                racing[spawn(_result(connect, address), name="dial-address")] = address
            ended, _ = await asyncio.wait(
                racing,
                timeout=ATTEMPT_DELAY if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in ended:
                result = task.result()
                if isinstance(result, socket.socket):
                    connected = result
                    return racing.pop(task), connected
                if not isinstance(result, OSError):
                    raise result
                del racing[task]
                error = result
        raise error
    finally:
        try:
            await end(racing)
        except BaseException:  # cancelled again: what is connected by now, or later, closes too
            for task in racing:
                task.add_done_callback(_close_result)
            if connected is not None:
                connected.close()
            raise
        for task in racing:
            _close_result(task)


async def _result(connect: Connect, address: str) -> socket.socket | Exception:
    try:
        return await connect(address)
    except Exception as error:
        return error


def _close_result(task: asyncio.Task[socket.socket | Exception]) -> None:
    if not task.cancelled() and isinstance(sock := task.result(), socket.socket):
        sock.close()


def interleaved(addresses: Sequence[str]) -> list[str]:
    """IPv6 and IPv4 addresses in turn, the family of the first one first (RFC 8305, 4)."""
    first = [address for address in addresses if (":" in address) == (":" in addresses[0])]
    others = [address for address in addresses if (":" in address) != (":" in addresses[0])]
    pairs = chain.from_iterable(zip_longest(first, others))
    return [address for address in pairs if address is not None]


async def open_socket(address: str, port: int) -> socket.socket:
    """A TCP connection to an IP address. Raises OSError."""
    sock, error = begin(address, port)
    try:
        if error in PENDING:
            error = await _connected(sock)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        sock.close()
        raise
    return sock


async def _connected(sock: socket.socket) -> int:
    """Waits until a socket is connected, or is known not to be: returns the error, or 0."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _set, ready)
    try:
        await ready
    finally:
        loop.remove_writer(sock)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
