"""What uvicorn is given to speak HTTP: it makes the protocol of each connection."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.server import ServerState

from event_gateway.api.http.connection import Connection, Shortcut
from event_gateway.api.http.cors import Cors
from event_gateway.api.http.open_connections import OpenConnections
from event_gateway.api.http.tls_connection import TlsConnection

if TYPE_CHECKING:
    from event_gateway.api.http.server_tls import ServerTls


def connection_for(
    connections: OpenConnections, cors: Cors, tls: "ServerTls | None", shortcut: Shortcut | None
) -> Callable[..., asyncio.Protocol]:
    """What uvicorn takes as ``http``: makes the protocol of a connection. ``tls``: None for plain
    HTTP; ``shortcut``: None if the application answers all requests."""

    def make(
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        connection = Connection(connections, cors, config, server_state, shortcut=shortcut)
        if tls is None:
            return connection
        return TlsConnection(tls.context, connection, connections.handshake_failed)

    return make
