"""Tunnels through a forward proxy (HTTP CONNECT, RFC 9110 §9.3.6)."""

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit

from event_gateway.config.model import ProxyModel
from event_gateway.core.errors import ErrorType
from event_gateway.transport.target import Target, parse_target

MAX_ANSWER = 16 * 1024  # bytes of the answer to CONNECT
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})[ \r]")
_REFUSED = (403, 407)  # it is the proxy's word on the target, or on us; not that of a moment


class ProxyFailed(Exception):
    """What another address of the target would not help against; the text names the proxy."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy. ``authorization`` is its header line, with the credentials; ``looks_up``:
    names are sent to it as they are, instead of a checked address."""

    target: Target
    authorization: bytes = field(repr=False)
    looks_up: bool

    def __str__(self) -> str:
        return f"the proxy {self.target.host}:{self.target.port}"


def proxy_of(model: ProxyModel | None) -> Proxy | None:
    """The proxy of a configuration, whose URL the model has checked."""
    if model is None:
        return None
    netloc = urlsplit(model.url).netloc
    credentials, _, place = netloc.rpartition("@")
    authorization = b""
    if credentials:
        user, _, password = credentials.partition(":")
        both = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        authorization = b"proxy-authorization: Basic %b\r\n" % base64.b64encode(both)
    return Proxy(parse_target(f"http://{place}/"), authorization, model.resolve == "proxy")


async def tunnel(proxy: Proxy, addresses: list[str], host: str, port: int) -> socket.socket:
    """A connected socket whose other end is ``host``:``port``, by way of the proxy, which has these
    addresses. Runs until it is cancelled where the proxy does not answer.

    Raises ProxyFailed; OSError where the proxy did not reach the target, or this machine has no
    socket left.
    """
    sock = await _connected(proxy, addresses)
    try:
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        request = f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n".encode()
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(sock, request + proxy.authorization + b"\r\n")
            status = await _answer(proxy, sock)
        except ConnectionError:
            raise ConnectionResetError(f"{proxy} closed the connection") from None
        if status in _REFUSED:
            raise ProxyFailed(ErrorType.EGRESS_REFUSED, f"{proxy} answered {status}")
        if not 200 <= status < 300:
            raise ConnectionResetError(f"{proxy} answered {status}")
    except BaseException:
        sock.close()
        raise
    return sock


async def _connected(proxy: Proxy, addresses: list[str]) -> socket.socket:
    loop = asyncio.get_running_loop()
    failed = OSError("it has no address")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # The protocol is named: without it asyncio would leave Nagle's algorithm on.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, (address, proxy.target.port))
        except TimeoutError:  # the system's own
            sock.close()
            raise
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if isinstance(failed, ConnectionRefusedError):
        raise ProxyFailed(ErrorType.CONNECTION_REFUSED, f"{proxy} refused the connection")
    raise ProxyFailed(ErrorType.CONNECTION_RESET, f"{proxy}: {failed.strerror or failed}")


async def _answer(proxy: Proxy, sock: socket.socket) -> int:
    """The status of the answer to CONNECT, when its headers are whole."""
    loop = asyncio.get_running_loop()
    answer = b""
    while b"\r\n\r\n" not in answer:
        if len(answer) > MAX_ANSWER:
            raise ProxyFailed(ErrorType.PROTOCOL_ERROR, f"{proxy}: its answer is too large")
        more = await loop.sock_recv(sock, 4096)
        if not more:
            raise ConnectionResetError
        answer += more
    status = _STATUS.match(answer)
    if status is None:
        raise ProxyFailed(ErrorType.PROTOCOL_ERROR, f"{proxy}: its answer is not HTTP/1.1")
    code = int(status[1])
    if code < 300 and answer.partition(b"\r\n\r\n")[2]:
        # We speak first, with http as with TLS: it would be taken for the receiver's word.
        raise ProxyFailed(ErrorType.PROTOCOL_ERROR, f"{proxy}: something follows its answer")
    return code
