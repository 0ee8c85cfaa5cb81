"""How the gateway proves to Redis who it is. Each function is called for every new connection, so
that a renewed file is used without a restart."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis.credentials import CredentialProvider

from event_gateway.state.server_connection import RedisLoginFailed, ServerConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLogin:
    """What is configured beside ``redis.url``. The functions raise ValueError, whose text names the
    file and no secret. Without a ``username`` the password is that of the default user. ``tls``
    returns the context of the next connection.
    """

    username: str | None = None
    password: Callable[[], str] | None = field(default=None, repr=False)
    tls: Callable[[], ssl.SSLContext] | None = None
    sentinels: "RedisLogin | None" = None  # who the gateway is to these

    @property
    def key(self) -> str:
        """The key of the configuration that says who the gateway is."""
        return "redis.url" if self.password is None else "redis.password"

    def options(self) -> dict[str, Any]:
        """The arguments of the client's pool."""
        found: dict[str, Any] = {}
        if self.password is not None:
            found["credential_provider"] = _Credentials(self)
        if self.tls is not None:
            found |= {"connection_class": ServerConnection, "tls": self.tls}
        return found


class _Credentials(CredentialProvider):
    def __init__(self, login: RedisLogin) -> None:
        self._login = login

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        assert self._login.password is not None
        try:
            password = self._login.password()
        except ValueError as error:
            raise RedisLoginFailed(str(error)) from None
        username = self._login.username
        return (password,) if username is None else (username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()
