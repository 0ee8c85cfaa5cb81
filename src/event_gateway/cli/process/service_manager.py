"""Tells systemd that the process starts, serves and stops, and that its event loop turns.

By the protocol of sd_notify(3): ``NOTIFY_SOCKET`` names a socket, where the unit has
``Type=notify``; ``WATCHDOG_USEC`` is the unit's ``WatchdogSec``: systemd ends a process that
is silent for longer. Without these variables nothing is sent.
"""

import asyncio
import contextlib
import faulthandler
import os
import socket
from collections.abc import AsyncIterator, Mapping

import structlog

from event_gateway.tasks import Supervisor

log = structlog.get_logger(__name__)

STARTING = 90  # seconds without a sign of life in which a start counts as one that stands still
BUSY = 0.1  # seconds until systemd is told again what its socket had no room for


class ServiceManager:
    """The service manager that ``environ`` names, if any."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@": an abstract address, which begins with a zero byte.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        limit = environ.get("WATCHDOG_USEC", "")
        # The variables reach children, too; the process is named to which the watchdog belongs.
        own = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = bool(self._address) and own and limit.isdigit()
        self._interval = int(limit) / 1e6 / 2 if watched else 0.0
        self._serves = asyncio.Event()

    @property
    def is_there(self) -> bool:
        """Whether the environment names one."""
        return bool(self._address)

    @property
    def watches(self) -> bool:
        """Whether it wants to be told again and again that the process is alive."""
        return self._interval > 0

    def serving(self) -> None:
        """To be called when the process serves."""
        self._serves.set()

    async def keep_told(self) -> None:
        """Asks for more time to start until the process serves, and says then that it does. After
        that, where it is watched, says twice within the limit of the watchdog that the event loop
        turns. Never returns."""
        while not self._serves.is_set():
            await self._tell(f"EXTEND_TIMEOUT_USEC={STARTING}000000")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STARTING / 3):
                    await self._serves.wait()
        await self._tell("READY=1")
        while self.watches:
            await self._tell("WATCHDOG=1")
            await asyncio.sleep(self._interval)
        await asyncio.Event().wait()

    def stopping(self) -> None:
        """Says that the process drains, and ends."""
        self._send("STOPPING=1")

    async def _tell(self, state: str) -> None:
        # A unit of type "notify" that is not told READY=1 never counts as started.
        while not self._send(state):
            await asyncio.sleep(BUSY)

    def _send(self, state: str) -> bool:
        """Whether the socket had room. An error that stays is logged."""
        if not self._address:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(state.encode(), self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            log.warning("systemd was not told the state", state=state, error=str(error))
        return True


@contextlib.asynccontextmanager
async def informing(
    supervisor: Supervisor, environ: Mapping[str, str] = os.environ
) -> AsyncIterator[ServiceManager]:
    """Keeps the service manager told, until the supervisor stops."""
    manager = ServiceManager(environ)
    if manager.watches:
        faulthandler.enable()  # the signal of the watchdog leaves a traceback
    if manager.is_there:
        supervisor.start("service-manager", manager.keep_told)
    yield manager
