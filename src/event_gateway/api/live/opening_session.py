"""A WebSocket connection whose client is not known yet."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from event_gateway.api.live.close_codes import INTERNAL, POLICY
from event_gateway.api.live.websocket_protocol import WebSocketProtocol, WebSocketSession
from event_gateway.tasks import spawn

log = structlog.get_logger(__name__)

MAX_MESSAGES = 64  # that came with the handshake, or before the socket paused


class OpeningSession:
    """Finds out who the client is, and hands the connection over to its session.

    Until then nothing is read from the client; messages that have arrived wait.
    """

    __slots__ = ("_find_session", "_messages", "_socket", "_task")

    def __init__(self, find_session: Callable[[], Awaitable[WebSocketSession]]) -> None:
        self._find_session = find_session
        self._messages: list[str | bytes] = []
        self._socket: WebSocketProtocol | None = None
        self._task: asyncio.Task[None] | None = None

    def opened(self, socket: WebSocketProtocol) -> None:
        """Starts to find out."""
        self._socket = socket
        socket.pause()
        self._task = spawn(self._open(socket), name="ws-open")

    def received(self, message: str | bytes) -> None:
        """Keeps a message for the session."""
        if len(self._messages) < MAX_MESSAGES:
            self._messages.append(message)
        elif self._socket is not None:
            self._socket.close(POLICY, "messages came before the connection was open")

    def drained(self) -> None:
        """Has nothing to send."""

    def closed(self) -> None:
        """The client has gone."""
        self._socket = None
        if self._task is not None:
            self._task.cancel()

    async def _open(self, socket: WebSocketProtocol) -> None:
        try:
            session = await self._find_session()
        except Exception as error:
            log.error("opening a WebSocket connection failed", fault=error)
            socket.close(INTERNAL, "internal error; the gateway's log has the details")
            return
        self._task = None
        if self._socket is None:
            return
        socket.hand_over(session)
        for message in self._messages:
            if socket.open:
                session.received(message)
        socket.resume()
