"""What a request tells about its caller."""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import parse_qs

from event_gateway.api.http.peer import Peer
from event_gateway.core.access.client_certificate import ClientCertificate

# Headers as ASGI has them: names in lower case.
RawHeaders = Sequence[tuple[bytes, bytes]]


class CallerRequest:
    """A request whose caller is not known yet. It decodes what somebody asks for, and no more.

    ``body``: reads the whole body, which is bounded, and may be called again; ``bearer``: the
    credential in ``Authorization: Bearer``, else in ``X-API-Key``, or empty.
    """

    __slots__ = ("_headers", "_query", "_raw_path", "bearer", "body", "method", "path", "peer")

    def __init__(
        self,
        *,
        method: str,
        path: str,
        raw_path: bytes,
        headers: RawHeaders,
        query: bytes,
        peer: Peer,
        body: Callable[[], Awaitable[bytes]],
    ) -> None:
        """``raw_path``: the path as it was sent; ``query``: the query string; ``peer``: the other
        end of the connection."""
        self.method = method
        self.path = path
        self._raw_path = raw_path
        self.peer = peer
        self.body = body
        self._headers = headers
        self._query = query
        self.bearer = _bearer(headers)

    @property
    def target(self) -> bytes:
        """The path, and the query string if there is one, as they were sent."""
        return b"%b?%b" % (self._raw_path, self._query) if self._query else self._raw_path

    @property
    def client(self) -> str:
        """The address of the client, also behind reverse proxies that are trusted; empty where
        there is none."""
        return self.peer.client(self._headers).address

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
        if not self._query:
            return None
        return parse_qs(self._query.decode("latin-1")).get(name, [None])[0]


def _bearer(headers: RawHeaders) -> str:
    """In one pass, as each request has it read. The first header of a name counts."""
    authorization = api_key = None
    for name, value in headers:
        if name == b"authorization":
            authorization = value if authorization is None else authorization
        elif name == b"x-api-key":
            api_key = value if api_key is None else api_key
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip().decode("latin-1")
    return "" if api_key is None else api_key.decode("latin-1")
