"""The client that blocks."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import httpx

from event_gateway.client import requests
from event_gateway.client.answers import content_of, error_of
from event_gateway.client.endpoint import TIMEOUT, Endpoint
from event_gateway.client.operations import Operations

if TYPE_CHECKING:
    from event_gateway.client.models import Accepted, CloudEvent, Page

T = TypeVar("T")


class GatewayClient(Operations):
    """A gateway at a URL. Methods raise GatewayError and GatewayUnreachable.

    ``key``: an API key or a token; ``verify``: whom to trust for ``https``; ``timeout``: seconds
    for a request; ``http``: a client of your own (proxies, transports), which you close.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        verify: ssl.SSLContext | bool = True,
        timeout: float = TIMEOUT,
        http: httpx.Client | None = None,
    ) -> None:
        self._endpoint = Endpoint(url, key)
        self._own = http is None
        self._http = http or httpx.Client(
            verify=self._endpoint.verified_by(verify), timeout=timeout
        )

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        media_type: str | None = None,
    ) -> httpx.Response:
        """The answer to any request as it came, also an error."""
        request = self._endpoint.request(
            method, path, body, query=query, headers=headers, media_type=media_type
        )
        with self._endpoint.reached():
            return self._http.request(**request)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        media_type: str | None = None,
    ) -> Any:
        """The content of the answer to any request, for what has no method of its own."""
        response = self.send(
            method, path, body, query=query, headers=headers, media_type=media_type
        )
        return content_of(response)

    _call = request

    def publish(self, events: "CloudEvent | Sequence[CloudEvent]") -> "Accepted":
        """Publishes an event, or a batch: answered once the log has confirmed them. An event that
        the log already has, by source and id, counts as a duplicate."""
        kind = requests.STRUCTURED if isinstance(events, Mapping) else requests.BATCH
        answer = self.request("POST", "/v1/events", events, media_type=kind)
        return cast("Accepted", answer)

    def follow_stream(
        self, name: str, *, from_: str | int = "new", expression: str | None = None
    ) -> Iterator[tuple[int, "CloudEvent"]]:
        """The events of a stream with their sequences, live and without end. ``from_``: ``new``,
        ``first``, a sequence, or a time (RFC 3339). To go on after an interruption, give the last
        sequence plus 1."""
        request = self._endpoint.stream(name, from_, expression, self._http.timeout)
        reader = requests.EventStream()
        with self._endpoint.reached(), self._http.stream(**request) as response:
            if response.is_error:
                response.read()
                raise error_of(response)
            for line in response.iter_lines():
                yield from cast("Iterator[tuple[int, CloudEvent]]", reader.take(line))

    def chunks(self, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The content of a `GET` as it comes in, for what is too large to hold, such as exports."""
        request = self._endpoint.request(
            "GET", path, None, query=query, headers=None, media_type=None
        )
        with self._endpoint.reached(), self._http.stream(**request) as response:
            if response.is_error:
                response.read()
                raise error_of(response)
            yield from response.iter_bytes()

    def close(self) -> None:
        """Closes the connections."""
        if self._own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def every(list_page: "Callable[..., Page[T]]", *arguments: Any, **query: Any) -> Iterator[T]:
    """All items of a list, read page by page: ``every(gateway.list_webhooks, limit=100)``."""
    cursor: str | None = None
    while True:
        page = list_page(*arguments, cursor=cursor, **query)
        yield from page["items"]
        if (cursor := page["next"]) is None:
            return
