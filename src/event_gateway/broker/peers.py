"""The processes of one gateway, as they hear of each other over NATS.

Each says once a second, and at each change, up to which revision it has the registry in force. So
a change can be answered once it is in force everywhere, and processes that were started with
different configuration files find out.
"""

import asyncio
import os
import socket
import time

import msgspec
import structlog
from nats.aio.msg import Msg

from event_gateway.broker.connection import Broker
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)

SUBJECT = "eg.process"
BEAT = 1.0  # seconds between two signs of life
SILENCE = 3.5  # seconds without one after which a process counts as dead


class Beat(msgspec.Struct):
    """A sign of life. ``applied``: the registry's revision in force there; ``file``: a digest of
    the definitions in its configuration file, empty where it has none; ``gone``: it is ending."""

    process: str
    host: str
    pid: int
    applied: int = 0
    file: str = ""
    gone: bool = False


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Beat).decode


class Peers:
    """The other processes that live. ``process`` names this one."""

    def __init__(self, broker: Broker, process: str, file: str, supervisor: Supervisor) -> None:
        self._broker = broker
        self._supervisor = supervisor
        self._own = Beat(process, socket.gethostname(), os.getpid(), file=file)
        self._heard: dict[str, tuple[Beat, float]] = {}
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._echo = time.monotonic()
        self._warned: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Begins to listen and to be heard. Raises what BrokerError names."""
        await self._broker.nc.subscribe(f"{SUBJECT}.*", cb=self._on_beat)
        self._echo = time.monotonic()
        self._task = self._supervisor.start("peers", self._beat)

    async def stop(self) -> None:
        """Tells the others not to wait for this process any more."""
        await end([self._task])
        self._own.gone = True
        self._say()

    def announce(self, applied: int) -> None:
        """This process has the registry in force up to that revision."""
        self._own.applied = applied
        self._say()

    def load(self, file: str) -> None:
        """This process has taken up another configuration file."""
        self._own.file = file
        self._warned.clear()
        self._say()

    async def confirmed(self, revision: int, timeout: float) -> bool:
        """Waits until all that live have that revision in force; False after ``timeout`` seconds.

        Who has died within the last seconds is waited for too.
        """
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(
                    lambda: all(one.applied >= revision for one in self._living())
                )
        except TimeoutError:
            behind = [one.process for one in self._living() if one.applied < revision]
            log.warning("a change is not confirmed everywhere yet", revision=revision, by=behind)
            return False
        return True

    @property
    def process(self) -> str:
        """This process' name among them."""
        return self._own.process

    @property
    def silent(self) -> bool:
        """Whether not even this process's own signs of life come back: NATS does not answer."""
        return time.monotonic() - self._echo > SILENCE

    @property
    def with_other_files(self) -> list[str]:
        """The living processes that were started with other definitions: host and process id."""
        own = self._own.file
        return [f"{b.host}/{b.pid}" for b in self._living() if own and b.file and b.file != own]

    @property
    def index_and_count(self) -> tuple[int, int]:
        """The index of this process among all live processes (from 0), and their number."""
        own = self._own.process
        names = sorted({own, *(one.process for one in self._living())})
        return names.index(own), len(names)

    def _living(self) -> list[Beat]:
        now = time.monotonic()
        for process, (_, heard) in list(self._heard.items()):
            if now - heard > SILENCE:
                del self._heard[process]
        return [beat for beat, _ in self._heard.values()]

    async def _beat(self) -> None:
        while True:
            self._say()
            async with self._changed:
                self._changed.notify_all()  # somebody may have died meanwhile
            await asyncio.sleep(BEAT)

    def _say(self) -> None:
        self._broker.post(f"{SUBJECT}.{self._own.process}", _encode(self._own))

    async def _on_beat(self, msg: Msg) -> None:
        try:
            beat = _decode(msg.data)
        except msgspec.DecodeError:
            return  # of a version to come
        if beat.process == self._own.process:
            self._echo = time.monotonic()
            return
        if beat.gone:
            self._heard.pop(beat.process, None)
        else:
            if beat.process not in self._heard:
                self._say()  # who has just begun need not wait to hear of this one
            self._heard[beat.process] = (beat, time.monotonic())
            self._compare(beat)
        async with self._changed:
            self._changed.notify_all()

    def _compare(self, beat: Beat) -> None:
        own = self._own.file
        if not own or not beat.file or own == beat.file:
            return
        if (beat.process, beat.file) not in self._warned:
            self._warned.add((beat.process, beat.file))
            log.warning(
                "another process of this gateway has a different configuration file: of webhooks "
                "and streams what was loaded last is in force in both, transformations are each "
                "one's own",
                host=beat.host,
                pid=beat.pid,
            )
