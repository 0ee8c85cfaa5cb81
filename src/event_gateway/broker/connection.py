"""The connection to NATS: one per process. It reconnects by itself, however long NATS is away."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from event_gateway.broker.connection_faults import refusal_of, unanswered
from event_gateway.broker.known_sequences import KnownSequences
from event_gateway.broker.login import NatsLogin
from event_gateway.broker.nats_client import NatsClient
from event_gateway.broker.outbox import Outbox
from event_gateway.broker.permissions import missing_permissions
from event_gateway.broker.publisher import Publisher
from event_gateway.broker.violations import Violations
from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.urls import (
    ServerUrl,
    parse_server_url,
    servers_of,
    without_password,
)
from event_gateway.tasks import spawn

log = structlog.get_logger(__name__)

MAX_PENDING = 32 * 1024 * 1024  # bytes that the client buffers while NATS is away
REQUEST_TIMEOUT = 5.0  # seconds
DROP_AFTER = 0.5  # seconds for which a request is buffered while NATS is away, at most
CLOSE_TIMEOUT = 4  # seconds for the messages that wait at the end, half of them for the outbox
START_TIMEOUT = 30.0  # seconds for which the start waits for a server that does not respond
MIN_SERVER_VERSION = (2, 10)
# An event of 64 KiB can be six times as long in JSON, where control characters are escaped; and it
# has headers.
MIN_PAYLOAD = 7 * 64 * 1024

NO_LEADER = 10008  # error code of the server: its cluster has no leader of JetStream

_REQUEST = re.compile(rb"H?PUB \S+ _INBOX\.")  # a message that names the inbox of its answer

# The exceptions that a call to NATS can raise while NATS is away or starting.
BrokerError = (NatsError, OSError, asyncio.TimeoutError)

# Those that a write can raise where the socket is closed and the client does not know it yet; the
# second comes from uvloop, which has written nothing then.
_CUT = (OSError, RuntimeError)


def _no_shortage_known() -> None:
    """The disk of a server that is not embedded cannot be looked at."""


class Broker:
    """A connection to NATS with JetStream. ``publisher`` publishes what is confirmed, ``outbox``
    what is not.

    ``replicas`` is the number of replicas of each stream whose configuration names none; None
    leaves existing streams unchanged. ``shortage`` says why the disk of the server has no room for
    events; None while it has, or if that cannot be known. ``violations``: what NATS does not allow
    this user; ``known_sequences``: those that streams have had.
    """

    def __init__(
        self,
        url: str,
        *,
        login: NatsLogin | None = None,
        replicas: int | None = None,
        shortage: Callable[[], str | None] = _no_shortage_known,
    ) -> None:
        self.url = url
        self._login = login or NatsLogin()
        self._refusal = ""  # why NATS has refused the latest connection; empty once connected
        self.replicas = replicas
        self.shortage = shortage
        self.violations = Violations()
        self.known_sequences = KnownSequences()
        self._create_client()
        self._on_reconnect: list[Callable[[], None]] = []
        self._started = False  # it has been connected and checked
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether the connection is up."""
        return self.nc.is_connected

    def add_reconnect_listener(self, listener: Callable[[], None]) -> None:
        """Calls a function after each reconnect, until the listener is removed."""
        self._on_reconnect.append(listener)

    def remove_reconnect_listener(self, listener: Callable[[], None]) -> None:
        """Does not call a function that was added any more."""
        self._on_reconnect.remove(listener)

    def _create_client(self) -> None:
        self.nc = NatsClient(self._login)
        self.js: JetStreamContext = self.nc.jetstream(timeout=REQUEST_TIMEOUT)
        self.publisher = Publisher(self.nc)
        self.outbox = Outbox(self.nc, MAX_PENDING)
        self.post = self.outbox.post

    async def connect(self, timeout: float = START_TIMEOUT) -> None:
        """Connects, waiting up to ``timeout`` seconds for the server, and checks the server.

        Raises ServerRefused if the server does not respond, or does not meet the requirements.
        """
        shown = without_password(self.url)
        deadline = time.monotonic() + timeout
        warned = False
        while True:
            client_errors: list[Exception] = []
            try:
                await self._connect(client_errors)
                break
            except BrokerError as error:
                cause = client_errors[-1] if client_errors else error
                refusal = refusal_of(cause, self._login)
                text = refusal or unanswered(cause, self._login)
                if refusal or time.monotonic() > deadline:
                    raise ServerRefused(f"cannot connect to NATS at {shown}: {text}") from None
                if not warned:
                    log.warning("NATS does not respond yet", url=shown, error=text,
                                seconds=timeout)  # fmt: skip
                    warned = True
                self._create_client()
                await asyncio.sleep(0.5)
        await self._check(shown, deadline)
        await self._check_permissions(shown)
        await self.publisher.start()
        self._started = True

    @property
    def server_version(self) -> str:
        """The version of the connected server, such as ``2.11.4``."""
        version = self.nc.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    async def _check(self, shown: str, deadline: float) -> None:
        version = self.nc.connected_server_version
        if (version.major, version.minor) < MIN_SERVER_VERSION:
            is_version = self.server_version
            await self.nc.close()
            raise ServerRefused(
                f"NATS at {shown} is version {is_version}; the gateway needs "
                f"{MIN_SERVER_VERSION[0]}.{MIN_SERVER_VERSION[1]} or newer"
            )
        if self.nc.max_payload < MIN_PAYLOAD:
            await self.nc.close()
            raise ServerRefused(
                f"NATS at {shown} accepts messages of at most {self.nc.max_payload} bytes; an "
                f"event of 64 KiB may need {MIN_PAYLOAD}: raise the server's max_payload"
            )
        await self._wait_for_jetstream(shown, deadline)

    async def _wait_for_jetstream(self, shown: str, deadline: float) -> None:
        """Returns once JetStream answers: a cluster that has just started has no leader yet."""
        warned = False
        while True:
            try:
                await self.js.account_info()
                return
            except (*BrokerError, APIError) as error:
                denied = self.violations.during_call()
                why = (error.description if isinstance(error, APIError) else "") or str(error)
                waits = isinstance(error, TimeoutError) or (
                    isinstance(error, APIError) and error.err_code == NO_LEADER
                )
                if denied or not waits or time.monotonic() > deadline:
                    await self.nc.close()
                    if denied:
                        raise ServerRefused(f"NATS at {shown}: {denied}") from None
                    if waits:
                        raise ServerRefused(
                            f"the JetStream of NATS at {shown} does not answer ({why}): has the "
                            "cluster a majority of its servers?"
                        ) from None
                    raise ServerRefused(
                        f"NATS at {shown} has no JetStream for this account"
                        f"{f' ({why})' if why else ''}: start the server with JetStream enabled"
                    ) from None
                if not warned:
                    log.warning("JetStream does not answer yet", url=shown, error=why)
                    warned = True
                await asyncio.sleep(0.5)

    async def _check_permissions(self, shown: str) -> None:
        try:
            missing = await missing_permissions(self.nc, self.violations)
        except BrokerError as error:
            missing = [f"it does not answer: {error}"]
        if missing:
            await self.nc.close()
            raise ServerRefused(f"NATS at {shown}: {'; '.join(missing)}")

    async def _connect(self, client_errors: list[Exception]) -> None:
        async def reconnected() -> None:
            log.info("reconnected to NATS")
            self._refusal = ""
            for notify in self._on_reconnect:
                notify()

        async def disconnected() -> None:
            if not self._closing:
                spawn(self._drop_requests(), name="nats-dropped-requests")
                log.warning("disconnected from NATS")

        async def failed(error: Exception) -> None:
            client_errors[:] = [error]
            self.violations.note(str(error))
            log.debug("error in the NATS client", error=str(error))
            refusal = refusal_of(error, self._login)
            if refusal and refusal != self._refusal and self._started:
                log.error("NATS refuses the connection; the gateway tries again", reason=refusal)
                self._refusal = refusal

        servers = [parse_server_url(server) for server in servers_of(self.url)]
        await self.nc.connect(
            [server.url for server in servers],
            **(self._login.options() or _credentials(servers)),
            tls_handshake_first=self._login.handshake_first,
            name="event-gateway",
            # The first connection succeeds or fails; with endless attempts the client would spin.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=1,
            connect_timeout=5,
            ping_interval=10,
            max_outstanding_pings=2,
            pending_size=MAX_PENDING,
            reconnected_cb=reconnected,
            disconnected_cb=disconnected,
            error_cb=failed,
            skip_subject_validation=True,
        )
        self.nc.options["allow_reconnect"] = True
        self.nc.options["max_reconnect_attempts"] = -1

    async def wait_connected(self, timeout: float) -> bool:
        """Whether NATS can be talked to, now or within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while not self.connected and not self._closing and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
        return self.connected

    async def _drop_requests(self) -> None:
        """Drops the requests that the client buffers while NATS is away.

        Their callers give up before NATS is back. The client would send them then, and the log
        would take an event although the publisher has received an error. The client has no
        documented way to drop requests. Acknowledgements stay in the buffer.
        """
        nc = self.nc
        while not (nc.is_connected or nc.is_closed):
            nc._pending = [command for command in nc._pending if not _REQUEST.match(command)]
            nc._pending_data_size = sum(map(len, nc._pending))
            await asyncio.sleep(DROP_AFTER)

    async def close(self) -> None:
        """Sends the messages in the outbox, then closes the connection, within CLOSE_TIMEOUT."""
        self._closing = True
        if self._started:
            await self.outbox.close(CLOSE_TIMEOUT // 2)
        if self.connected:
            try:
                await self.nc.flush(timeout=CLOSE_TIMEOUT // 2)
            except (*BrokerError, *_CUT):
                log.warning("NATS went away during shutdown")
        try:
            await self.nc.close()
        except Exception as error:  # the client may write to a closed connection
            log.debug("closing the NATS connection failed", error=str(error))
        except asyncio.CancelledError:
            # If the connection is cut at this moment, the client raises this by itself.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise


def _credentials(servers: Sequence[ServerUrl]) -> dict[str, Any]:
    """The client's arguments for the user of all servers: it does not decode those of a URL."""
    users = {(server.user, server.password) for server in servers if server.user is not None}
    if not users:
        return {}
    if len(users) > 1:
        raise ServerRefused("nats.url: all servers must have the same user and password")
    user, password = users.pop()
    assert user is not None
    return {"token": user} if password is None else {"user": user, "password": password}


async def connect(
    url: str,
    *,
    login: NatsLogin | None = None,
    replicas: int | None = None,
    shortage: Callable[[], str | None] = _no_shortage_known,
) -> Broker:
    """Returns a connected broker. Raises ServerRefused."""
    broker = Broker(url, login=login, replicas=replicas, shortage=shortage)
    await broker.connect()
    return broker
