"""A connection to a server over TLS, or to the one of several servers that is the primary."""

import ssl
from collections.abc import Callable
from typing import Any

from redis.asyncio import Connection
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
)

from event_gateway.state.primary import NoPrimary, Primary


class RedisLoginFailed(AuthenticationError):
    """The gateway cannot log in as configured. The text names the key of the configuration."""


class ServerConnection(Connection):
    """A connection that asks for its TLS context, and for the address of the ``primary``, each time
    that it is opened: the client's own keeps both.

    After an answer that only a server gives which is not the primary any more, the pool closes the
    connection when its call has ended.
    """

    def __init__(
        self,
        *,
        tls: Callable[[], ssl.SSLContext] | None = None,
        primary: Primary | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self._tls = tls
        self._primary = primary

    async def connect(self) -> None:
        """Connects, unless it is connected. Raises NoPrimary, and what the client raises."""
        if self._primary is None or self.is_connected:
            await super().connect()  # type: ignore[no-untyped-call]
            return
        self.host, self.port = address = await self._primary.find()
        try:
            await super().connect()  # type: ignore[no-untyped-call]
            if self._primary.check_role:
                await self._check_role()
            if address != self._primary.address:  # the primary changed while this opened
                raise NoPrimary(f"{self.host}:{self.port} is not the primary any more")
        except BaseException:
            await self.disconnect(nowait=True)  # it would count as connected, and so as examined
            raise

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """The next answer of the server."""
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if self._primary is not None and is_of_former_primary(error):
                self.mark_for_reconnect()  # type: ignore[no-untyped-call]
            raise

    async def _check_role(self) -> None:
        # Sentinels name a replica before it knows that it is the primary.
        await self.send_command("INFO", "replication")
        answer = await self.read_response()
        text = answer.decode() if isinstance(answer, bytes) else str(answer)
        if "role:master" not in text:
            raise NoPrimary(f"{self.host}:{self.port} is to be the primary, and is a replica yet")

    def _connection_arguments(self) -> dict[str, Any]:
        arguments = dict(super()._connection_arguments())
        if self._tls is None:
            return arguments
        try:
            return {**arguments, "ssl": self._tls()}
        except ValueError as error:
            raise RedisLoginFailed(str(error)) from None


def is_of_former_primary(error: ResponseError) -> bool:
    """Whether another server may be the primary now: this one is a replica, has lost its replicas
    or the majority of its cluster, or does not have the slot."""
    return isinstance(error, (ReadOnlyError, MovedError, ClusterDownError)) or str(
        error
    ).startswith("NOREPLICAS")
