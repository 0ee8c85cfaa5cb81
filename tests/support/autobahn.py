"""An echo server with the gateway's WebSocket protocol, for the Autobahn test suite.

    PYTHONPATH=tests python -m support.autobahn PORT

and at the same time, under CPython 2.7 with autobahntestsuite,

    wstest -m fuzzingclient -s tests/support/autobahn.json

with 9001 as PORT. The result is in docs/decisions/0019-websocket-of-our-own.md.
"""

import sys
from typing import Any

import uvicorn
import uvloop

from event_gateway.api.live.websocket_protocol import (
    OpenedSession,
    WebSocketProtocol,
    frame_head,
    protocol_for,
)

LIMIT = 64 * 1024 * 1024  # group 9 sends messages of 16 MiB


class Echo:
    """Sends each message back."""

    def __init__(self) -> None:
        self._socket: WebSocketProtocol | None = None

    def opened(self, socket: WebSocketProtocol) -> None:
        self._socket = socket

    def received(self, message: str | bytes) -> None:
        assert self._socket is not None
        if isinstance(message, bytes):
            # The gateway itself sends no binary messages.
            head = b"\x82" + frame_head(len(message))[1:]
            self._socket._transport.write(head + message)
        else:
            self._socket.send([(b"", message.encode())])

    def drained(self) -> None:
        pass

    def closed(self) -> None:
        self._socket = None


async def _no_http(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def main(port: int) -> None:
    def opened(request: Any) -> OpenedSession:
        return Echo(), None

    config = uvicorn.Config(
        _no_http, port=port, log_config=None, lifespan="off",
        ws=protocol_for(opened, limit=LIMIT),  # type: ignore[arg-type]
    )  # fmt: skip
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
