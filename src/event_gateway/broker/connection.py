"""The connection to NATS: one per process, which comes back by itself however long NATS is away."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from event_gateway.broker.headers import parse_headers
from event_gateway.core.errors import ServerRefused
from event_gateway.core.text.urls import servers_of, without_password
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

# What is published without waiting gathers here at most; past it the oldest is dropped.
OUTBOX_LIMIT = 50_000
AT_ONCE = 256  # of them in one write
PENDING = 32 * 1024 * 1024  # bytes that wait in the client while NATS is away
REQUEST_TIMEOUT = 5.0
PATIENCE = 30.0  # seconds for which a server that does not answer is waited for at the start
OLDEST = (2, 10)
# Text of control characters is six times as long in JSON; and there are headers.
LEAST_PAYLOAD = 7 * 64 * 1024

# What a call to NATS can fail with while NATS is away or starting.
BrokerError = (NatsError, OSError, asyncio.TimeoutError)

Payload = bytes | Callable[[], bytes]  # or what makes it, when it leaves


class Broker:
    """NATS and its JetStream. ``dropped`` counts unacknowledged publishes given up so far;
    ``replicas``: on how many servers streams are that do not say so, None: as they are."""

    def __init__(self, url: str, supervisor: Supervisor, *, replicas: int | None = None) -> None:
        self.url = url
        self.replicas = replicas
        self._supervisor = supervisor
        self._renew()
        self.on_reconnect: list[Callable[[], None]] = []
        self.dropped = 0
        self._outbox: deque[tuple[str, Payload]] = deque()
        self._posted = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def connected(self) -> bool:
        """Whether NATS can be talked to right now."""
        return self.nc.is_connected

    def _renew(self) -> None:
        self.nc = Client()
        # It has no documented place for that; see there what the client's own one hides.
        self.nc._parse_header_lines = parse_headers  # type: ignore[method-assign]
        self.js: JetStreamContext = self.nc.jetstream(timeout=REQUEST_TIMEOUT)

    async def connect(self, patience: float = PATIENCE) -> None:
        """Connects to a server that can be worked with. Raises ServerRefused."""
        shown = without_password(self.url)
        deadline = time.monotonic() + patience
        told = False
        while True:
            wrong: list[Exception] = []
            try:
                await self._connect(wrong)
                break
            except BrokerError as error:
                why = wrong[-1] if wrong else error
                text = str(why) or type(why).__name__
                if "authorization" in text.lower() or time.monotonic() > deadline:
                    raise ServerRefused(f"cannot work with NATS at {shown}: {text}") from None
                if not told:
                    log.warning("NATS does not answer yet", url=shown, error=text,
                                seconds=patience)  # fmt: skip
                    told = True
                self._renew()
                await asyncio.sleep(0.5)
        await self._check(shown)
        self._pump = self._supervisor.start("nats-outbox", self._run_outbox)

    async def _check(self, shown: str) -> None:
        version = self.nc.connected_server_version
        if (version.major, version.minor) < OLDEST:
            await self.nc.close()
            raise ServerRefused(
                f"NATS at {shown} is version {version}; the gateway needs "
                f"{OLDEST[0]}.{OLDEST[1]} or newer"
            )
        if self.nc.max_payload < LEAST_PAYLOAD:
            await self.nc.close()
            raise ServerRefused(
                f"NATS at {shown} takes no message over {self.nc.max_payload} bytes; an event of "
                f"64 KiB may need {LEAST_PAYLOAD}: raise its max_payload"
            )
        try:
            await self.js.account_info()
        except (*BrokerError, APIError) as error:
            await self.nc.close()
            raise ServerRefused(
                f"NATS at {shown} has no JetStream for this account ({error}): start it with "
                "jetstream enabled"
            ) from None

    async def _connect(self, wrong: list[Exception]) -> None:
        async def reconnected() -> None:
            log.info("nats reconnected")
            for notify in self.on_reconnect:
                notify()

        async def disconnected() -> None:
            if not self._closing:
                log.warning("nats disconnected")

        async def failed(error: Exception) -> None:
            wrong[:] = [error]
            log.debug("nats error", error=str(error))

        await self.nc.connect(
            servers_of(self.url),
            name="event-gateway",
            # The first connection is made or fails; with endless attempts the client would spin.
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=1,
            connect_timeout=5,
            ping_interval=10,
            max_outstanding_pings=2,
            pending_size=PENDING,
            reconnected_cb=reconnected,
            disconnected_cb=disconnected,
            error_cb=failed,
            skip_subject_validation=True,
        )
        self.nc.options["allow_reconnect"] = True
        self.nc.options["max_reconnect_attempts"] = -1

    def post(self, subject: str, payload: Payload) -> None:
        """Publishes without waiting and without a promise: for acks and lifecycle events."""
        if len(self._outbox) >= OUTBOX_LIMIT:
            self._outbox.popleft()
            self.dropped += 1
        self._outbox.append((subject, payload))
        self._posted.set()

    async def close(self) -> None:
        """Sends what was posted and closes the connection."""
        self._closing = True
        if self._pump is not None:
            deadline = asyncio.get_running_loop().time() + 2.0
            while self._outbox and self.connected:
                if asyncio.get_running_loop().time() > deadline:
                    break
                await asyncio.sleep(0.01)
            await end([self._pump])
        if self.connected:
            try:
                await self.nc.flush(timeout=2)
            except BrokerError:
                log.warning("nats went away during shutdown")
        try:
            await self.nc.close()
        except Exception as error:  # the client writes to a connection that is gone
            log.debug("nats not closed in order", error=str(error))

    async def _run_outbox(self) -> None:
        outbox = self._outbox
        self._posted.set()  # a former run may have left some
        while True:
            await self._posted.wait()
            self._posted.clear()
            while outbox:
                batch = [outbox.popleft() for _ in range(min(len(outbox), AT_ONCE))]
                try:
                    await self._publish(batch)
                except NatsError:
                    # NATS is away and its buffer full: an ack comes again, an event is told once.
                    self.dropped += len(batch)
                except Exception:  # what cannot be encoded must not end all others
                    log.exception("cannot be published", count=len(batch))
                    self.dropped += len(batch)
                await asyncio.sleep(0)  # a long burst must not hold up everything else

    async def _publish(self, batch: list[tuple[str, Payload]]) -> None:
        """Publishes many in one write; the client's own way costs more than all else of an ack.

        Raises what NatsError names.
        """
        nc = self.nc
        if nc.is_closed:
            raise ConnectionClosedError
        payloads = [
            (subject, payload if isinstance(payload, bytes) else payload())
            for subject, payload in batch
        ]
        commands = b"".join(
            [
                b"PUB %b %d\r\n%b\r\n" % (subject.encode(), len(payload), payload)
                for subject, payload in payloads
                if len(payload) <= nc.max_payload
            ]
        )
        if not nc.is_connected and nc.pending_data_size + len(commands) > PENDING:
            raise OutboundBufferLimitError
        await nc._send_command(commands)
        await nc._flush_pending()


async def connect(url: str, supervisor: Supervisor, *, replicas: int | None = None) -> Broker:
    """A connected broker. Raises ServerRefused."""
    broker = Broker(url, supervisor, replicas=replicas)
    await broker.connect()
    return broker
