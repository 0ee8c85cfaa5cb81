"""Limits of HTTP connections: how many there may be, and what each may take of time and memory."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network

from event_gateway.core.access.trusted_proxies import TrustedProxies
from event_gateway.core.text.addresses import Address, read_address

# Seconds.
HEAD_TIMEOUT = 10.0  # from the first byte of a request, or from the connection, to the whole head
DROP_TIMEOUT = 10.0  # in which the rest of a body arrives whose request was answered before
WRITE_TIMEOUT = 30.0  # in which a client reads at least MIN_READ bytes of what waits for it
LIVE_WRITE_TIMEOUT = 300.0  # the same, for Server-Sent Events
LINGER_TIMEOUT = 15.0  # after an answer that closes, in which the client's bytes are dropped
LINGER_IDLE = 5.0  # the same, without a byte
TURNED_AWAY_LINGER = 1.0  # the same, for a connection that is over a bound

# Of the head of a request. An event in binary mode may have 64 KiB of attributes, and
# percent-encoding triples them.
MAX_HEAD = 256 * 1024  # bytes
MAX_HEADERS = 4096
MAX_URL = 65535  # bytes; the parser of URLs takes no more

# Bytes.
MIN_READ = 16 * 1024
MAX_LINGER = 256 * 1024 * 1024  # dropped after an answer that closes
MAX_BUFFERED = 64 * 1024  # of a body, at which the gateway stops to read
MAX_FRAMING = 32 * 1024  # trailers and chunk extensions of a request, together
CHUNK_FRAMING = 16  # around a chunk, that do not count as extensions
PIECE = 8 * 1024  # parsed at a time: after each piece the limits are checked


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """``total``: connections of this process, of which half may be those of HTTP and three quarters
    live ones (WebSocket and Server-Sent Events); ``per_address``: HTTP connections of an address,
    None for a quarter of all HTTP connections; ``proxies``: those whose addresses have no bound
    of their own; ``body_timeout`` and ``keep_alive_timeout`` in seconds."""

    total: int
    per_address: int | None
    proxies: TrustedProxies
    body_timeout: float
    keep_alive_timeout: float

    @property
    def http(self) -> int:
        """How many connections may be those of HTTP, apart from Server-Sent Events."""
        return max(1, self.total // 2)

    @property
    def live(self) -> int:
        """How many connections may be live."""
        return max(1, self.total * 3 // 4)


class AddressBound:
    """How many connections an address may have."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._explicit = limits.per_address is not None
        self._bound = limits.per_address or max(1, limits.http // 4)
        self._proxies = limits.proxies

    def of(self, address: str) -> tuple[str, int | None]:
        """The name under which connections of the address are counted, and their bound.

        An IPv6 client has a network of 64 bits. Loopback has no bound by default: a reverse proxy
        on the same machine connects from there on behalf of all clients.
        """
        parsed = read_address(address)
        if parsed is None:
            return address, None  # no TCP
        if self._proxies.trusts(address):
            return str(parsed), None
        if not self._explicit and parsed.is_loopback:
            return str(parsed), None
        return counted_name(parsed), self._bound


def counted_name(address: Address) -> str:
    """The name under which a client is counted: an IPv6 client has a network of 64 bits."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, 64), strict=False))
