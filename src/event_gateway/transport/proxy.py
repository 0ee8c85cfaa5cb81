"""Tunnels through a forward proxy (HTTP CONNECT, RFC 9110 §9.3.6)."""

import asyncio
import base64
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes, urlsplit

from event_gateway.config.delivery_model import ProxyModel
from event_gateway.core.webhook.error_type import AttemptErrorType
from event_gateway.transport.racing import EXHAUSTED, first_connected, open_socket
from event_gateway.transport.target import Target, parse_target

MAX_ANSWER = 16 * 1024  # bytes of the response to CONNECT
_STATUS = re.compile(rb"HTTP/1\.[01] ([2-5][0-9]{2})[ \r]")
_REFUSED = (403, 407)  # the proxy refuses the target or the credentials; a retry will not help


class ProxyFailed(Exception):
    """The proxy failed, so trying another address of the target would not help. The text names
    the proxy."""

    def __init__(self, error_type: AttemptErrorType, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy. ``authorization`` is the header line with its credentials, or empty;
    ``resolves_names``: the gateway sends it names instead of checked addresses."""

    target: Target
    authorization: bytes = field(repr=False)
    resolves_names: bool

    def __str__(self) -> str:
        return f"the proxy {self.target.host}:{self.target.port}"


def proxy_of(model: ProxyModel | None) -> Proxy | None:
    """The proxy of a configuration; the model has validated its URL."""
    if model is None:
        return None
    netloc = urlsplit(model.url).netloc
    credentials, _, host_port = netloc.rpartition("@")
    authorization = b""
    if credentials:
        user, _, password = credentials.partition(":")
        decoded = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        authorization = b"proxy-authorization: Basic %b\r\n" % base64.b64encode(decoded)
    return Proxy(parse_target(f"http://{host_port}/"), authorization, model.resolve == "proxy")


async def tunnel(proxy: Proxy, addresses: list[str], host: str, port: int) -> socket.socket:
    """Opens a tunnel to ``host``:``port`` through the proxy, and returns its socket.

    ``addresses`` are those of the proxy. If the proxy does not answer, this runs until it is
    cancelled. Raises ProxyFailed; OSError when the proxy cannot reach the target, or when this
    machine has no socket left.
    """
    sock = await _connect(proxy, addresses)
    try:
        host_port = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        request = f"CONNECT {host_port} HTTP/1.1\r\nhost: {host_port}\r\n".encode()
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(sock, request + proxy.authorization + b"\r\n")
            status = await _read_status(proxy, sock)
        except ConnectionError:
            raise ConnectionResetError(f"{proxy} closed the connection") from None
        if status in _REFUSED:
            raise ProxyFailed(AttemptErrorType.EGRESS_REFUSED, f"{proxy} answered {status}")
        if not 200 <= status < 300:
            raise ConnectionResetError(f"{proxy} answered {status}")
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect(proxy: Proxy, addresses: list[str]) -> socket.socket:
    try:
        _, sock = await first_connected(
            lambda address: open_socket(address, proxy.target.port), addresses
        )
        return sock
    except ConnectionRefusedError:
        raise ProxyFailed(
            AttemptErrorType.CONNECTION_REFUSED, f"{proxy} refused the connection"
        ) from None
    except TimeoutError:  # ETIMEDOUT of the operating system
        raise
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        why = error.strerror or str(error)
        raise ProxyFailed(AttemptErrorType.CONNECTION_RESET, f"{proxy}: {why}") from None


async def _read_status(proxy: Proxy, sock: socket.socket) -> int:
    """Reads the complete head of the response to CONNECT, and returns its status."""
    loop = asyncio.get_running_loop()
    answer = b""
    while b"\r\n\r\n" not in answer:
        if len(answer) > MAX_ANSWER:
            raise ProxyFailed(AttemptErrorType.PROTOCOL_ERROR, f"{proxy}: its answer is too large")
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise ConnectionResetError
        answer += data
    status = _STATUS.match(answer)
    if status is None:
        raise ProxyFailed(AttemptErrorType.PROTOCOL_ERROR, f"{proxy}: its answer is not HTTP/1.1")
    code = int(status[1])
    if code < 300 and answer.partition(b"\r\n\r\n")[2]:
        # In HTTP and in TLS the client speaks first: these bytes are not the receiver's.
        raise ProxyFailed(AttemptErrorType.PROTOCOL_ERROR, f"{proxy}: sent more than its answer")
    return code
