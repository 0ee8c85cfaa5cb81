"""The pool of connections to Redis."""

import contextlib
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from event_gateway.state.servers import Servers


class Pool(BlockingConnectionPool):
    """Hands a connection out at once if there is one, and queues the call if there is none.

    The client's own pool takes a lock, a timer and a context manager for each call, and tells
    listeners and metrics that the gateway does not use, also where no caller waits. At a low rate,
    where each event has its own calls, that was a fifth of the function calls of a delivery.
    """

    def __init__(self, *, servers: Servers | None = None, **settings: Any) -> None:
        """``servers``: between which the connections move; None if there is one server."""
        super().__init__(**settings)
        self.servers = servers
        self._waiting = 0  # calls that are in the client's own queue

    async def get_connection(
        self, command_name: object = None, *keys: object, **options: object
    ) -> AbstractConnection:
        """A connection that is open, and has nothing left of the call before."""
        if self._waiting or not self.can_get_connection() or self._in_maintenance:
            self._waiting += 1
            try:
                return await super().get_connection()  # type: ignore[no-untyped-call, no-any-return]
            finally:
                self._waiting -= 1
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Takes a connection back."""
        if self._waiting or self._in_maintenance or connection.should_reconnect():  # type: ignore[no-untyped-call]
            await super().release(connection)
            return
        self._in_use_connections.remove(connection)
        self._available_connections.append(connection)

    async def leave(self) -> None:
        """Closes the connections to a server that is not the primary any more: idle ones at once,
        the others when their call has ended."""
        await self.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        with contextlib.suppress(RedisError):  # it hangs
            await self.disconnect(inuse_connections=False)
