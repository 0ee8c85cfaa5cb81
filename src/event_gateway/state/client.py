"""The client of Redis, whose scripts share one connection.

The data plane calls nothing but scripts, whose answers are small and come at once. All other
commands may wait, or be answered with megabytes: each has a connection of the pool meanwhile.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from event_gateway.state.server_connection import is_of_former_primary
from event_gateway.state.shared_connection import SharedConnection


class RedisClient(Redis):
    """Calls a script over the shared connection, and everything else as its parent does."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        pool: Any = self.connection_pool  # that of state/pool.py
        self._scripts = SharedConnection(
            pool.make_connection, lambda: float(pool.connection_kwargs["socket_timeout"])
        )
        if pool.servers is not None:
            pool.servers.primary.add_follower(self.follow)

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """The answer to a command. Raises the exceptions in StateError."""
        if args[0] == "EVALSHA":
            try:
                return await self._scripts.call(*args)
            except ResponseError as error:
                await self._leave_former_primary(error)
                raise
        if args[0] == "SCRIPT LOAD":  # to the server that lacks it: others may have another one
            return await self._scripts.call("SCRIPT", "LOAD", args[1])
        return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    async def call_scripts(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answers to ``EVALSHA`` commands that leave in one write, and are run one after the
        other; another client's command can come between them. Raises the exceptions in StateError:
        some of them may have run."""
        try:
            return await self._scripts.call_all(calls)
        except ResponseError as error:
            await self._leave_former_primary(error)
            raise

    async def _leave_former_primary(self, error: ResponseError) -> None:
        if is_of_former_primary(error):  # also where one address leads to several servers
            await self.leave()

    async def leave(self) -> None:
        """Leaves a server that is not the primary any more: each call that is made from now on has
        a connection to the new one."""
        self._scripts.leave()
        pool: Any = self.connection_pool  # that of state/pool.py
        await pool.leave()

    async def follow(self) -> None:
        """Leaves a server because another one is the primary now. A script that this one has not
        answered yet fails: a former primary that hung may still run it, and say so, but what it
        writes is lost."""
        self._scripts.abandon()
        await self.leave()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Closes all connections."""
        await self._scripts.close()
        await super().aclose(close_connection_pool)
