"""Where a gateway is, and the arguments of each request to it: the same for both clients."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from event_gateway.client import requests
from event_gateway.client.answers import raise_unreachable

TIMEOUT = 30.0  # seconds
_SILENCE = 60.0  # seconds; the gateway sends a comment into a stream every 15


class Endpoint:
    """A gateway at a URL. ``key``: empty for requests without one."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._headers = requests.default_headers(key)

    def verified_by(self, verify: ssl.SSLContext | bool) -> ssl.SSLContext | bool:
        """Whom to trust: nobody without TLS, as reading the authorities of the system takes a
        while."""
        return verify if self._url.startswith("https:") else False

    def request(
        self,
        method: str,
        path: str,
        body: Any,
        *,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str | None] | None,
        media_type: str | None,
    ) -> dict[str, Any]:
        """What httpx needs for a request."""
        content, kind = requests.encoded(body, media_type)
        return {
            "method": method,
            "url": self._url + path,
            "params": requests.parameters(query or {}) or None,
            "content": content,
            "headers": self._headers | kind | requests.given(headers or {}),
        }

    def stream(
        self, name: str, from_: str | int, expression: str | None, timeout: httpx.Timeout
    ) -> dict[str, Any]:
        """What httpx needs to follow a stream. ``timeout``: that of other requests."""
        return {
            "method": "GET",
            "url": f"{self._url}/v1/streams/{requests.in_path(name)}/sse",
            "params": requests.parameters({"from": from_, "expression": expression}),
            "headers": self._headers,
            "timeout": httpx.Timeout(timeout.connect, read=_SILENCE),
        }

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Raises GatewayUnreachable for errors of the connection."""
        try:
            yield
        except (httpx.HTTPError, ssl.SSLError) as error:  # the latter: an alert after a handshake
            raise_unreachable(self._url, error)
