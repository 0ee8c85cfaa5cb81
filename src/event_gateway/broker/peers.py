"""The other processes of the same gateway, known by their heartbeats over NATS.

Each process publishes a heartbeat once a second and at each change. A heartbeat holds the revision
of the registry that the process has applied, so that the API can answer a change once every process
has applied it; a digest of the configuration file, so that different files are detected; why the
health of the process is degraded, so that the leader knows it of all; and the server of Redis that
it uses, so that no checkpoint covers what a process has written to a former one.
"""

import asyncio
import contextlib
import os
import socket
import time

import msgspec
import structlog
from nats.aio.msg import Msg

from event_gateway import __version__
from event_gateway.beats import beat
from event_gateway.broker.agreement import DEAD_AFTER, LISTENING, Agreement
from event_gateway.broker.connection import Broker
from event_gateway.core.observability.reason import Reason
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

SUBJECT = "eg.process"
INTERVAL = 1.0  # seconds between two heartbeats
LOST_FOR = 30.0  # seconds for which a process that has disappeared is remembered
HEARD_ALONE = 2.0  # seconds of own heartbeats without the other's: else NATS was away
MAX_LOST = 20
DIFFERENT_FOR = 3.0  # seconds after which different files are no reload that goes on


class Heartbeat(msgspec.Struct):
    """A heartbeat of a process.

    ``applied`` is the revision of the registry that the process has applied; ``file`` a digest of
    the definitions in its configuration file, empty if it has none; ``gone``: the process ends.
    ``version`` is the gateway's, empty for those that do not know of leading; ``started``: when the
    process started, in seconds since the epoch; ``reasons``: why its health is degraded;
    ``server``: the identity of the server of Redis that it uses, as in :class:`Agreement`.
    """

    process: str
    host: str
    pid: int
    applied: int = 0
    file: str = ""
    gone: bool = False
    version: str = ""
    started: float = 0.0
    reasons: list[Reason] = []
    server: str | None = None

    @property
    def place(self) -> str:
        """The process as ``host/process id``."""
        return f"{self.host}/{self.pid}"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Heartbeat).decode


class Peers:
    """Tracks the live processes of the gateway. ``process`` is the name of this process;
    ``agreement``: on the server of Redis."""

    def __init__(self, broker: Broker, process: str, file: str, supervisor: Supervisor) -> None:
        self._broker = broker
        self._supervisor = supervisor
        self._own = Heartbeat(
            process, socket.gethostname(), os.getpid(),
            file=file, version=__version__, started=time.time(),
        )  # fmt: skip
        self._lost: dict[str, tuple[Heartbeat, float]] = {}
        self._received: dict[str, tuple[Heartbeat, float]] = {}
        self.agreement = Agreement()
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._echo = time.monotonic()
        self._different: dict[tuple[str, str], float] = {}  # since when, by process and file
        self._warned: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Starts to receive and to publish heartbeats. Raises the exceptions in BrokerError."""
        await self._broker.nc.subscribe(f"{SUBJECT}.*", cb=self._on_heartbeat)
        self._echo = time.monotonic()
        self.agreement.echoed()
        self._task = self._supervisor.start("peers", self._run)

    async def stop(self) -> None:
        """Publishes a last heartbeat, so that no other process waits for this one."""
        await end([self._task])
        self._own.gone = True
        self._publish()

    def announce(self, applied: int) -> None:
        """Publishes that this process has applied the registry up to a revision."""
        self._own.applied = applied
        self._publish()

    def set_file(self, file: str) -> None:
        """Publishes the digest of the configuration file that this process has loaded."""
        self._own.file = file
        self._different.clear()
        self._warned.clear()
        self._publish()

    def set_reasons(self, reasons: list[Reason]) -> None:
        """Sets why the health of this process is degraded, for the next heartbeat."""
        self._own.reasons = reasons

    def set_server(self, server: str) -> None:
        """Publishes the identity of the server of Redis that this process uses, if it is another
        one; empty: it has just begun."""
        if server != self._own.server:
            self.agreement.server = self._own.server = server
            self._publish()

    async def confirmed(self, revision: int, timeout: float) -> bool:
        """Waits until every live process has applied a revision; False after ``timeout`` seconds.

        A process that died within the last DEAD_AFTER seconds still counts as live.
        """
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(
                    lambda: all(heartbeat.applied >= revision for heartbeat in self._live())
                )
        except TimeoutError:
            behind = [
                heartbeat.process for heartbeat in self._live() if heartbeat.applied < revision
            ]
            log.warning("some processes have not applied a change of the registry yet",
                        revision=revision, waiting_for=behind)  # fmt: skip
            return False
        return True

    @property
    def process(self) -> str:
        """The name of this process."""
        return self._own.process

    @property
    def cut_off(self) -> bool:
        """Whether NATS does not respond: not even the heartbeats of this process come back."""
        return time.monotonic() - self._echo > DEAD_AFTER

    @property
    def with_different_files(self) -> list[str]:
        """The live processes with other definitions in their files, as ``host/process id``."""
        own = self._own.file
        return [peer.place for peer in self._live() if own and peer.file and peer.file != own]

    @property
    def index_and_count(self) -> tuple[int, int]:
        """The index of this process among all live processes (from 0), and their number."""
        own = self._own.process
        names = sorted({own, *(heartbeat.process for heartbeat in self._live())})
        return names.index(own), len(names)

    @property
    def leads(self) -> bool:
        """Whether this process does what one process does for all: the first of the live ones.

        For a moment two processes may, or none: what the leader writes must be a compare-and-set.
        """
        return not self._received or self.leader == self._own.process

    @property
    def leader(self) -> str:
        """The name of the process that leads. Those of a version that does not know of leading
        do not."""
        return min([self._own.process, *(peer.process for peer in self._live() if peer.version)])

    @property
    def own(self) -> Heartbeat:
        """What this process says of itself."""
        return self._own

    @property
    def others(self) -> list[Heartbeat]:
        """The latest heartbeats of the other live processes."""
        return self._live()

    @property
    def lost(self) -> list[Heartbeat]:
        """The processes that have disappeared in the last LOST_FOR seconds without a clean
        shutdown, at most MAX_LOST. While NATS is away this is not known; then there are none."""
        self._live()
        since = time.monotonic() - LOST_FOR
        self._lost = {name: kept for name, kept in self._lost.items() if kept[1] > since}
        return [heartbeat for heartbeat, _ in self._lost.values()]

    def _live(self) -> list[Heartbeat]:
        now = time.monotonic()
        for process, (heartbeat, received_at) in list(self._received.items()):
            if now - received_at > DEAD_AFTER:
                del self._received[process]
                if self._echo - received_at > HEARD_ALONE and len(self._lost) < MAX_LOST:
                    self._lost[process] = (heartbeat, now)
        return [heartbeat for heartbeat, _ in self._received.values()]

    async def _run(self) -> None:
        while True:
            self._publish()
            async with self._changed:
                self._changed.notify_all()  # a process may have died since the last turn
            await beat(INTERVAL)

    def _publish(self) -> None:
        # At once: it leaves with what others ask on this beat, and a change of the registry waits
        # for all processes to say that they have applied it.
        self._broker.outbox.post_now(f"{SUBJECT}.{self._own.process}", _encode(self._own))

    async def _on_heartbeat(self, msg: Msg) -> None:
        try:
            heartbeat = _decode(msg.data)
        except msgspec.DecodeError:
            return  # from a newer version
        if heartbeat.process == self._own.process:
            self._echo = time.monotonic()
            self.agreement.echoed()
            return
        self._lost.pop(heartbeat.process, None)
        if heartbeat.gone:
            self._received.pop(heartbeat.process, None)
            self.agreement.left(heartbeat.process)
        else:
            if heartbeat.process not in self._received:
                self._publish()  # a new process learns of this one without waiting
            self._received[heartbeat.process] = (heartbeat, time.monotonic())
            self.agreement.heard(heartbeat.process, heartbeat.place, heartbeat.server)
            self._compare_files(heartbeat)
        async with self._changed:
            self._changed.notify_all()

    def _compare_files(self, heartbeat: Heartbeat) -> None:
        own, pair = self._own.file, (heartbeat.process, heartbeat.file)
        if not own or not heartbeat.file or own == heartbeat.file:
            for known in [each for each in self._different if each[0] == heartbeat.process]:
                del self._different[known]
            return
        since = self._different.setdefault(pair, time.monotonic())
        if time.monotonic() - since >= DIFFERENT_FOR and pair not in self._warned:
            self._warned.add(pair)
            log.warning(
                "another process of this gateway has a different configuration file: both use the "
                "webhooks and streams that were loaded last, but each uses its own transformations",
                host=heartbeat.host,
                pid=heartbeat.pid,
            )


async def heard_processes(broker: Broker) -> list[str]:
    """The live processes of a gateway on this NATS, as ``host/process id``. It listens for
    LISTENING seconds. Raises the exceptions in BrokerError."""
    heard: dict[str, str] = {}

    async def on_heartbeat(msg: Msg) -> None:
        with contextlib.suppress(msgspec.DecodeError):
            heartbeat = _decode(msg.data)
            heard[heartbeat.process] = heartbeat.place
            if heartbeat.gone:
                del heard[heartbeat.process]

    subscription = await broker.nc.subscribe(f"{SUBJECT}.*", cb=on_heartbeat)
    await asyncio.sleep(LISTENING)
    await subscription.unsubscribe()
    return sorted(heard.values())
