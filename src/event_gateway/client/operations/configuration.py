"""The operations of the tag `configuration`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from event_gateway.client.calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from event_gateway.client.models.configuration import (
        ConfigurationAnswer,
        ReloadConfigurationBody,
        Reloaded,
    )


class ConfigurationOperations(Caller):
    """The operations of the tag `configuration`."""

    def reload_configuration(self, body: ReloadConfigurationBody | None = None) -> Reloaded:
        """Loads the configuration file again, all or nothing, as SIGHUP does."""
        return cast("Reloaded", self._call("POST", "/v1/reload", body))

    def show_configuration(self) -> ConfigurationAnswer:
        """The configuration that the process which answers works by: the file, and the
        environment. `--host` and `--port` of its command come before `server.host` and
        `server.port`."""
        return cast("ConfigurationAnswer", self._call("GET", "/v1/config"))


class AsyncConfigurationOperations(AsyncCaller):
    """The operations of the tag `configuration` as coroutines."""

    async def reload_configuration(self, body: ReloadConfigurationBody | None = None) -> Reloaded:
        """Loads the configuration file again, all or nothing, as SIGHUP does."""
        return cast("Reloaded", await self._call("POST", "/v1/reload", body))

    async def show_configuration(self) -> ConfigurationAnswer:
        """The configuration that the process which answers works by: the file, and the
        environment. `--host` and `--port` of its command come before `server.host` and
        `server.port`."""
        return cast("ConfigurationAnswer", await self._call("GET", "/v1/config"))
