"""How the gateway proves to Redis who it is. Each function is called for every new connection, so
that a renewed file is used without a restart."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Connection
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError


class LoginFailed(AuthenticationError):
    """The gateway cannot log in as configured. The text names the key of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisLogin:
    """What is configured beside ``redis.url``. The functions raise ValueError, whose text names the
    file and no secret. Without a ``username`` the password is that of the default user. ``tls``
    returns the context of the next connection.
    """

    username: str | None = None
    password: Callable[[], str] | None = field(default=None, repr=False)
    tls: Callable[[], ssl.SSLContext] | None = None

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
            found |= {"connection_class": TlsConnection, "tls": self.tls}
        return found


class TlsConnection(Connection):
    """A connection over TLS, whose context is asked for each time that it is opened: the client's
    own reads the files once."""

    def __init__(self, *, tls: Callable[[], ssl.SSLContext], **settings: Any) -> None:
        super().__init__(**settings)
        self._tls = tls

    def _connection_arguments(self) -> dict[str, Any]:
        try:
            return {**super()._connection_arguments(), "ssl": self._tls()}
        except ValueError as error:
            raise LoginFailed(str(error)) from None


class _Credentials(CredentialProvider):
    def __init__(self, login: RedisLogin) -> None:
        self._login = login

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        assert self._login.password is not None
        try:
            password = self._login.password()
        except ValueError as error:
            raise LoginFailed(str(error)) from None
        username = self._login.username
        return (password,) if username is None else (username, password)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        return self.get_credentials()
