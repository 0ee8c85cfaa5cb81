"""The HTTP client of commands that talk to a gateway: the client that the package ships, with what
commands need."""

import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0  # seconds


class RawAnswer(NamedTuple):
    """An answer as it came; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class GatewayClient:
    """Sends requests to one gateway with its key."""

    def __init__(self, url: str, key: str, tls: ssl.SSLContext | None = None) -> None:
        """``key``: empty for requests without one. ``tls``: whom to trust; None for the authorities
        of the system."""
        # They take a tenth of a second to load, which commands without a gateway need not wait for.
        import httpx

        from event_gateway.client import AsyncGatewayClient

        self._url = url.rstrip("/")
        # The user chose this address: no proxy of the environment stands in between.
        verify = tls or url.startswith("https:")
        self._http = httpx.AsyncClient(timeout=TIMEOUT, verify=verify, trust_env=False)
        self._client = AsyncGatewayClient(url, key, http=self._http)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        *,
        if_match: str | None = None,
    ) -> tuple[int, Any]:
        """Status and decoded answer; None if it has no body. ``if_match``: the entity tag of what
        is to be changed. Raises ConnectionError, also if the answer is not JSON: it is that of a
        proxy, or of another program."""
        response = await self._send(method, path, body, content_type, if_match)
        try:
            answer = msgspec.json.decode(response.content) if response.content else None
        except msgspec.DecodeError:
            raise ConnectionError(
                f"{self._url} answers {response.status_code}, and not as a gateway does"
            ) from None
        return response.status_code, answer

    async def read(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer that is not JSON. Raises ConnectionError."""
        response = await self.read_whole(path)
        return response.status, response.body

    async def read_whole(self, path: str) -> RawAnswer:
        """An answer with its headers. Raises ConnectionError."""
        response = await self._send("GET", path, None, "application/json")
        return RawAnswer(response.status_code, dict(response.headers), response.content)

    async def _send(
        self, method: str, path: str, body: Any, content_type: str, if_match: str | None = None
    ) -> "httpx.Response":
        headers = {"if-match": if_match}
        return await self._client.send(method, path, body, headers=headers, media_type=content_type)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()
