"""HTTP written byte by byte, as no client library would write it."""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from support.patience import PATIENCE


@dataclass
class Response:
    """One response; ``closed``: the connection was closed in order after it, with no reset."""

    status: int
    headers: dict[str, str]
    body: bytes
    closed: bool = False

    @property
    def problem(self) -> dict[str, Any]:
        """The problem details."""
        assert self.headers["content-type"] == "application/problem+json", self
        decoded: dict[str, Any] = msgspec.json.decode(self.body)
        assert decoded["status"] == self.status
        return decoded


class RawClient:
    """One connection, with blocking calls."""

    def __init__(self, url: str, source: str | None = None, receive_buffer: int = 0) -> None:
        """``source``: the address to connect from; ``receive_buffer``: bytes that the system
        buffers."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source is not None:
            self.socket.bind((source, 0))
        self.socket.settimeout(PATIENCE)
        self.socket.connect((parts.hostname, parts.port))
        self._received = b""

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends bytes."""
        self.socket.sendall(data)

    def response(self, head_only: bool = False) -> Response:
        """The next response."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        fields = [line.partition(":") for line in lines]
        headers = {name.lower(): value.strip() for name, _, value in fields}
        status = int(first.split()[1])
        length = int(headers.get("content-length", 0))
        if head_only or status < 200 or status in (204, 304):
            length = 0
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return Response(status, headers, body)

    def last_response(self) -> Response:
        """The next response, after which the connection is closed. A reset raises OSError."""
        response = self.response()
        assert response.headers["connection"] == "close", response
        response.closed = self.rest() == b""
        return response

    def rest(self) -> bytes:
        """All that comes until the connection is closed. A reset raises OSError."""
        while data := self.socket.recv(65536):
            self._received += data
        rest, self._received = self._received, b""
        return rest

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        assert data, f"closed after {self._received!r}"
        self._received += data


def ask(url: str, request: bytes) -> Response:
    """The response to one request, after which the connection is closed."""
    with RawClient(url) as client:
        client.send(request)
        return client.last_response()
