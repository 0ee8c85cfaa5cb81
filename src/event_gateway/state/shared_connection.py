"""One connection to Redis for many calls at a time, which are answered in their order.

The client's own way takes a connection for each call, and a task's wait, two timers, a retry and a
pass over each argument in Python: some 300 function calls, which at a low rate nothing shares.
Here a call is one write, and its answer is found in the read that brings it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from event_gateway.beats import is_beat
from event_gateway.state.server_connection import is_of_former_primary
from event_gateway.tasks import spawn

MAX_WAITING = 4096  # calls without an answer, beyond which a call fails at once

_INCOMPLETE = object()  # what the reader returns until an answer is complete


class SharedConnection:
    """Opens the connection with the first call, and again with the next one after it was lost.

    ``make_connection`` makes a connection of the client, which logs in; ``timeout`` returns for how
    many seconds a call waits for its answer.
    """

    def __init__(
        self, make_connection: Callable[[], AbstractConnection], timeout: Callable[[], float]
    ) -> None:
        self._make_connection = make_connection
        self._timeout = timeout
        self._open: _Open | None = None
        self._opening: asyncio.Task[_Open | RedisError] | None = None

    async def call(self, *command: Any) -> Any:
        """The answer to a command. Raises the exceptions in StateError."""
        open_ = self._open
        if open_ is None or open_.left:
            open_ = await self._opened()
        return await open_.send(hiredis.pack_command(command), self._timeout())

    async def call_all(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to commands that leave in one write. Raises the exceptions in StateError: the
        first that one of them was answered with, once all are answered."""
        open_ = self._open
        if open_ is None or open_.left:
            open_ = await self._opened()
        packed = [hiredis.pack_command(command) for command in commands]
        return await open_.send_all(packed, self._timeout())

    def leave(self) -> None:
        """Uses another connection from now on: this server is not the primary any more."""
        if self._open is not None:
            self._open.leave()

    def abandon(self) -> None:
        """Uses another connection from now on, and fails the calls that wait: another server is the
        primary, and what this one may still write is lost."""
        if self._open is not None:
            self._open.close(lambda: RedisConnectionError("another server is the primary"))
        # A task that opens a connection may be the one that has found the new primary.
        if self._opening is not None and self._opening is not asyncio.current_task():
            self._opening.cancel()

    async def close(self) -> None:
        """Closes the connection; calls that wait fail."""
        if self._opening is not None:
            self._opening.cancel()
        if self._open is not None:
            self._open.close(lambda: RedisConnectionError("the connection was closed"))

    async def _opened(self) -> "_Open":
        """The connection that the first of the waiting calls opens for all."""
        if self._opening is None:
            self._opening = spawn(self._connect(), name="redis-connection")
            self._opening.add_done_callback(self._done_opening)
        try:
            opened = await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RedisConnectionError("the connection was closed") from None
        if isinstance(opened, RedisError):
            raise opened
        return opened

    async def _connect(self) -> "_Open | RedisError":
        connection = self._make_connection()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except RedisError as error:
            return error  # for those who wait to raise
        self._open = _Open(connection)
        return self._open

    def _done_opening(self, _task: asyncio.Task["_Open | RedisError"]) -> None:
        self._opening = None


class _Answers:
    """The answers to commands that were sent together: stands for each of them where an answer is
    waited for, and passes all of them on to ``result``."""

    def __init__(self, count: int, result: asyncio.Future[list[Any]]) -> None:
        self._missing = count
        self._result = result
        self._answers: list[Any] = []
        self._error: BaseException | None = None  # the first

    def done(self) -> bool:
        """Whether no caller waits any more."""
        return self._result.done()

    def set_result(self, answer: Any) -> None:
        """Adds the answer to the next command."""
        self._answers.append(answer)
        self._count()

    def set_exception(self, error: BaseException) -> None:
        """Adds what the next command has failed with."""
        self._error = self._error or error
        self._count()

    def _count(self) -> None:
        self._missing -= 1
        if self._missing:
            return
        if self._error is not None:
            self._result.set_exception(self._error)
        else:
            self._result.set_result(self._answers)


class _Open(asyncio.Protocol):
    """A connection that the client has opened, from which this takes over. ``left``: it takes no
    other call, and ends with the last of those that wait.

    The client has no documented way to hand out its transport.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection  # it would close what it forgets
        self._transport: asyncio.Transport = self._connection._writer.transport
        self._transport.set_protocol(self)
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=self._connection._parser.parse_error,  # makes the client's exceptions
            notEnoughData=_INCOMPLETE,
        )
        self._loop = asyncio.get_running_loop()
        # With their deadlines.
        self._waiting: deque[tuple[asyncio.Future[Any] | _Answers, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._gathered: list[bytes] = []  # what leaves in one write, at the end of a beat's turn
        self.left = self._transport.is_closing()

    def send(self, command: bytes, timeout: float) -> asyncio.Future[Any]:
        """Sends a command. The result is its answer."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._send(command, 1, answer, timeout)
        return answer

    def send_all(self, commands: Sequence[bytes], timeout: float) -> asyncio.Future[list[Any]]:
        """Sends commands in one write. The result are their answers."""
        result: asyncio.Future[list[Any]] = self._loop.create_future()
        count = len(commands)
        self._send(b"".join(commands), count, _Answers(count, result), timeout)
        return result

    def _send(
        self, command: bytes, count: int, answer: asyncio.Future[Any] | _Answers, timeout: float
    ) -> None:
        """Sends what is ``count`` commands, for each of which ``answer`` waits."""
        if self.left:
            raise RedisConnectionError("the connection was closed")
        if len(self._waiting) >= MAX_WAITING:
            raise RedisConnectionError("too many calls wait for Redis")
        deadline = self._loop.time() + timeout
        self._waiting.extend([(answer, deadline)] * count)
        if self._gathered:
            self._gathered.append(command)
        elif is_beat():
            self._gathered.append(command)
            self._loop.call_soon(self._write_gathered)
        else:
            self._transport.write(command)
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._expire)

    def _write_gathered(self) -> None:
        commands, self._gathered = self._gathered, []
        if not self._transport.is_closing():
            self._transport.write(b"".join(commands))

    def leave(self) -> None:
        """Closes the connection once nothing waits for it."""
        self.left = True
        if not self._waiting:
            self.close(lambda: RedisConnectionError("the connection was left"))

    def close(self, why: Callable[[], RedisError]) -> None:
        """Closes the connection, whatever it waits for."""
        self.left = True
        self._connection._close()
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            answer, _ = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(why())

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (content := self._reader.gets()) is not _INCOMPLETE:
                if isinstance(content, hiredis.PushNotification):
                    continue  # of the server's upkeep, which the client would not act on either
                answer, _ = self._waiting.popleft()
                if isinstance(content, ResponseError) and is_of_former_primary(content):
                    self.left = True
                if answer.done():
                    continue  # the caller was cancelled
                if isinstance(content, RedisError):
                    answer.set_exception(content)
                else:
                    answer.set_result(content)
            if self.left and not self._waiting:
                self.leave()
        except (RedisError, IndexError) as error:
            text = f"Redis sent what is no answer: {error}"
            self.close(lambda: InvalidResponse(text))

    def connection_lost(self, error: Exception | None) -> None:
        text = f"the connection was lost: {error or 'closed by the server'}"
        self.close(lambda: RedisConnectionError(text))

    def _expire(self) -> None:
        self._timer = None
        if not self._waiting:
            return
        _, deadline = self._waiting[0]
        if deadline > self._loop.time():
            self._timer = self._loop.call_at(deadline, self._expire)
        else:  # the answers behind it would be taken for others
            self.close(lambda: RedisTimeout("Redis did not answer in time"))
