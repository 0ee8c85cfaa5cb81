"""Why Redis does not let the gateway in: the setting to change, as far as that can be known."""

import asyncio
import ssl
from urllib.parse import urlsplit

from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from event_gateway.core.access.tls_fault import tls_fault
from event_gateway.core.text.urls import places_of
from event_gateway.state.login import RedisLogin
from event_gateway.state.primary import NoPrimary
from event_gateway.state.server_connection import RedisLoginFailed

_WAIT = 2.0  # seconds for an answer to the question below
# Also what a load balancer does whose server is away, so it is worth another try.
_CLOSED = (
    "redis.tls.cert: the server closes the connection once TLS is established; it may ask for a "
    "client certificate"
)


async def refusal_of(error: BaseException, url: str, login: RedisLogin) -> tuple[str | None, bool]:
    """What an operator must change so that Redis accepts the connection that has failed, beginning
    with the key of the configuration, None if nothing is known; and whether that is certain: then
    another try is of no use."""
    if isinstance(error, NoPrimary):
        return None, False  # its text says all
    refusal = _said(error, login) or tls_fault(error, "redis") or await _found(url, login)
    return refusal, refusal not in (None, _CLOSED)


def _said(error: BaseException, login: RedisLogin) -> str | None:
    if isinstance(error, RedisLoginFailed):
        return str(error)
    if isinstance(error, NoPermissionError):
        return f"{login.key}: {error}"
    if isinstance(error, (AuthenticationError, ResponseError)):
        if login.password is None and "HELLO must be called" in str(error):
            return "redis.password: the server asks for a password (NOAUTH)"
        return f"{login.key}: the server does not accept the gateway: {error}"
    return None


async def _found(url: str, login: RedisLogin) -> str | None:
    """What the server's answer to a question says."""
    over_tls = login.tls is not None or urlsplit(url).scheme == "rediss"
    for host, port in places_of(url, 6379):
        fault = None
        if over_tls:
            fault = await _fault_over_tls(host, port, login)
        elif await _accepts_tls(host, port):
            fault = "redis.tls: the server expects TLS: set redis.tls, or rediss:// in redis.url"
        if fault is not None:
            return fault
    return None


async def _fault_over_tls(host: str, port: int, login: RedisLogin) -> str | None:
    # The client hides what the server said when it closed the connection.
    try:
        context = ssl.create_default_context() if login.tls is None else login.tls()
        if not await _ask(host, port, context):
            return _CLOSED
    except (OSError, TimeoutError, ValueError) as error:
        fault = tls_fault(error, "redis")
        if fault is not None:
            return fault
    try:
        if await _ask(host, port, None):
            return "redis.tls: the server does not speak TLS on this port"
    except (OSError, TimeoutError):
        pass
    return None


async def _accepts_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        await _ask(host, port, context)
    except ssl.SSLError as error:  # it speaks TLS where it refuses us by an alert
        return "ALERT" in (error.reason or "")
    except (OSError, TimeoutError):
        return False
    return True


async def _ask(host: str, port: int, context: ssl.SSLContext | None) -> bytes:
    """Sends PING, without a password. Returns the answer, which may be an error of Redis; empty if
    the server closes the connection. Raises OSError or TimeoutError, also while it connects."""
    name = None if context is None else host
    async with asyncio.timeout(_WAIT):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname=name
        )
        try:
            writer.write(b"PING\r\n")
            return await reader.read(64)
        except ConnectionError:
            return b""
        finally:
            writer.close()
