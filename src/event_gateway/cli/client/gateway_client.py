"""The HTTP client of commands that talk to a gateway."""

import asyncio
import ssl
from typing import Any

import msgspec

from event_gateway.transport.client import Failure, HttpClient, Response, parse_target
from event_gateway.transport.egress_guard import EgressGuard

TIMEOUT = 10.0  # seconds
MAX_ANSWER = 128 * 1024 * 1024  # bytes; the largest catalog is half of that


class GatewayClient:
    """Sends requests to one gateway with its key."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None = None) -> None:
        """``key``: empty for requests without one. ``tls``: whom to trust; None for the authorities
        of the system."""
        self._url = url.rstrip("/")
        self._authorization = f"authorization: Bearer {key}\r\n" if key else ""
        # The user chose this address: every network and port is allowed.
        guard = EgressGuard(["0.0.0.0/0", "::/0"], allow_ports=range(1, 65536))
        self._http = HttpClient(guard, body_limit=MAX_ANSWER, ssl_context=tls)

    async def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, Any]:
        """Status and decoded answer; None if it has no body. Raises ConnectionError, also if the
        answer is not JSON: it is that of a proxy, or of another program."""
        response = await self._send(method, path, body, content_type)
        try:
            answer = msgspec.json.decode(response.body) if response.body else None
        except msgspec.DecodeError:
            raise ConnectionError(
                f"{self._url} answers {response.status}, and not as a gateway does"
            ) from None
        return response.status, answer

    async def read(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer that is not JSON. Raises ConnectionError."""
        response = await self.read_whole(path)
        return response.status, response.body

    async def read_whole(self, path: str) -> Response:
        """An answer with its headers. Raises ConnectionError."""
        return await self._send("GET", path, None, "application/json")

    async def _send(self, method: str, path: str, body: Any, content_type: str) -> Response:
        target = parse_target(self._url + path)
        content = b"" if body is None else msgspec.json.encode(body)
        head = (
            f"{method} {target.path} HTTP/1.1\r\nhost: {target.host_header.decode()}\r\n"
            f"{self._authorization}content-type: {content_type}\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        ).encode()
        future: asyncio.Future[Response | Failure] = asyncio.get_running_loop().create_future()

        def done(result: Response | Failure) -> None:
            if not future.done():
                future.set_result(result)

        self._http.post(target, head, content, TIMEOUT, done)
        result = await future
        if isinstance(result, Failure):
            raise ConnectionError(f"{self._url}: {result.message}")
        return result

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()
