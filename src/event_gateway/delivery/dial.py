"""Dialling receivers: names looked up, addresses checked, a few connections begun at a time."""

import asyncio
import errno
import ssl
from collections import deque
from collections.abc import Callable

import structlog

from event_gateway.core.errors import ErrorType
from event_gateway.delivery.egress import EgressGuard
from event_gateway.delivery.http_connection import Exchange, Failure, HttpConnection
from event_gateway.delivery.names import Names
from event_gateway.tasks import end

log = structlog.get_logger(__name__)

PER_TURN = 2  # connections begun in one turn of the event loop: many must not hold up the rest
MAX_ADDRESSES = 4  # of a name that are tried
# Nothing of the receiver's: this machine has no socket left.
EXHAUSTED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
EXHAUSTED_WAIT = 0.1  # seconds until it is tried again


class _Refused(Exception):
    """The guard does not let this name or address be dialled."""


class _NotFound(Exception):
    """The name has no address, or none that came in time."""


class Dialer:
    """Opens connections, made by ``make``, and hands them to ``opened`` with their exchange."""

    def __init__(
        self,
        guard: EgressGuard,
        context: ssl.SSLContext,
        make: Callable[[], HttpConnection],
        opened: Callable[[HttpConnection, Exchange], None],
        names: Names,
    ) -> None:
        self._guard = guard
        self._context = context
        self._make = make
        self._opened = opened
        self._names = names
        self._waiting: deque[Exchange] = deque()
        self._dialling: set[asyncio.Task[None]] = set()
        self._turning = False

    def __len__(self) -> int:
        """Connections that are to be opened."""
        return len(self._waiting) + len(self._dialling)

    def dial(self, exchange: Exchange) -> None:
        """Opens a connection for an exchange; its time runs from when that begins."""
        self._waiting.append(exchange)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    async def close(self) -> None:
        """Ends what is begun, and begins nothing more; their exchanges are not told."""
        self._waiting.clear()
        await end(self._dialling)

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(min(PER_TURN, len(self._waiting))):
            exchange = self._waiting.popleft()
            exchange.deadline = exchange.deadline or loop.time() + exchange.timeout
            task = loop.create_task(self._dial(exchange))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)
        self._turning = bool(self._waiting)
        if self._turning:
            loop.call_soon(self._turn)

    async def _dial(self, exchange: Exchange) -> None:
        failure: Failure
        target = exchange.target
        try:
            connection = await self._open(exchange)
        except TimeoutError:
            failure = Failure(ErrorType.CONNECT_TIMEOUT, "not connected in time")
        except _Refused as error:
            failure = Failure(ErrorType.EGRESS_REFUSED, str(error))
        except _NotFound as error:
            failure = Failure(ErrorType.NAME_RESOLUTION, f"{target.host}: {error}")
        except ConnectionRefusedError:
            failure = Failure(ErrorType.CONNECTION_REFUSED, f"{target.host}:{target.port} refused")
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            failure = Failure(ErrorType.TLS_ERROR, f"{target.host}: {why}")
        except OSError as error:
            failure = Failure(ErrorType.CONNECTION_RESET, error.strerror or str(error))
        except Exception as error:  # a mistake of ours must not keep its place for ever
            log.exception("dialling failed", host=target.host)
            failure = Failure(ErrorType.CONNECTION_RESET, repr(error))
        else:
            self._opened(connection, exchange)
            return
        exchange.done(failure)

    async def _open(self, exchange: Exchange) -> HttpConnection:
        target, deadline = exchange.target, exchange.deadline
        addresses = [target.host] if target.literal else await self._look_up(target.host, deadline)
        for address in addresses:
            reason = self._guard.refuses(address)
            if reason is not None:  # one refused address refuses the name
                raise _Refused(reason)
        loop = asyncio.get_running_loop()
        error = OSError("no address")
        addresses = addresses[:MAX_ADDRESSES]
        for position, address in enumerate(addresses):
            # An address that swallows everything must leave time for the others.
            now = loop.time()
            try:
                async with asyncio.timeout((deadline - now) / (len(addresses) - position)):
                    return await self._to(address, exchange)
            except OSError as failed:  # TimeoutError among them
                error = failed
        raise error

    async def _look_up(self, host: str, deadline: float) -> list[str]:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._names.addresses(host)
        except TimeoutError:
            raise _NotFound("no answer in time") from None
        except (OSError, UnicodeError) as error:
            raise _NotFound(getattr(error, "strerror", None) or str(error)) from None

    async def _to(self, address: str, exchange: Exchange) -> HttpConnection:
        target, identity = exchange.target, exchange.identity
        secure = target.scheme == "https"
        context = identity.context if identity else self._context
        while True:
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    self._make,
                    address,
                    target.port,
                    ssl=context if secure else None,
                    server_hostname=target.host if secure else None,
                )
            except OSError as error:
                if error.errno not in EXHAUSTED:
                    raise
                await asyncio.sleep(EXHAUSTED_WAIT)
            else:
                connection.origin = exchange.origin
                return connection
