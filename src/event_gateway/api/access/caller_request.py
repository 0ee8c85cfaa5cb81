"""What a request tells about its caller."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from event_gateway.api.access.request_id import request_id_of
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.core.access.client_certificate import ClientCertificate

# Headers as ASGI has them: names in lower case.
RawHeaders = Sequence[tuple[bytes, bytes]]
Scope = Mapping[str, Any]


class CallerRequest:
    """A request whose caller is not known yet. It decodes only the parts that are asked for.

    ``body``: reads the whole body, which is bounded, and may be called again; ``peer``: the other
    end of the connection; ``has_query``: whether there is a query string; ``bearer``: the
    credential in ``Authorization: Bearer``, else in ``X-API-Key``, or empty.
    """

    __slots__ = ("_headers", "_scope", "bearer", "body", "has_query", "peer")

    def __init__(self, scope: Scope, body: Callable[[], Awaitable[bytes]]) -> None:
        """``scope``: of ASGI, with the Peer under PEER."""
        self._scope = scope
        self._headers: RawHeaders = scope["headers"]
        self.peer: Peer = scope[PEER]
        self.body = body
        self.has_query = scope["query_string"] != b""
        self.bearer = _bearer(self._headers)

    @property
    def method(self) -> str:
        """The method, ``GET`` for ``HEAD``."""
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        """The path, decoded."""
        return str(self._scope["path"])

    @property
    def target(self) -> bytes:
        """The path, and the query string if there is one, as they were sent."""
        path, query = self._scope["raw_path"], self._scope["query_string"]
        return b"%b?%b" % (path, query) if query else bytes(path)

    @property
    def client(self) -> str:
        """The address of the client, also behind reverse proxies that are trusted; empty where
        there is none."""
        return self.peer.client(self._headers).address

    @property
    def request_id(self) -> str:
        """The id of the request."""
        given = (b"x-request-id", b"traceparent")
        return request_id_of(
            {
                name.decode(): value.decode("latin-1")
                for name, value in reversed(self._headers)
                if name in given
            }
        )

    @property
    def scheme(self) -> str:
        """``http`` or ``https``, by which the client's request came to the gateway, or to the first
        reverse proxy that is trusted."""
        return self.peer.client(self._headers).scheme

    @property
    def certificate(self) -> ClientCertificate | None:
        """The certificate that the client has shown to the gateway, or to a reverse proxy that may
        say so. Raises UnreadableCertificate."""
        return self.peer.certificate(self._headers)

    def header(self, name: bytes) -> str | None:
        """The first header of a name, which is in lower case."""
        for given, value in self._headers:
            if given == name:
                return value.decode("latin-1")
        return None

    def parameter(self, name: str) -> str | None:
        """The first parameter of a name in the query string."""
        query: bytes = self._scope["query_string"]
        return parse_qs(query.decode("latin-1")).get(name, [None])[0] if query else None


def _bearer(headers: RawHeaders) -> str:
    """In one pass, as each request has it read. The first header of a name counts."""
    authorization = api_key = None
    for name, value in headers:
        if name == b"authorization":
            authorization = value if authorization is None else authorization
        elif name == b"x-api-key":
            api_key = value if api_key is None else api_key
    if authorization is not None:
        scheme = authorization[:7]
        if scheme == b"Bearer " or scheme.lower() == b"bearer ":
            return authorization[7:].strip().decode("latin-1")
    return "" if api_key is None else api_key.decode("latin-1")
