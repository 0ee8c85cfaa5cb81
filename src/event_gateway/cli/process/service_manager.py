"""Tells systemd that the process serves, that its event loop turns, and that it stops.

By the protocol of sd_notify(3): ``NOTIFY_SOCKET`` names a socket, where the unit has
``Type=notify``; ``WATCHDOG_USEC`` is the unit's ``WatchdogSec``: systemd ends a process that
is silent for longer. Without these variables nothing is sent.
"""

import asyncio
import os
import socket
from collections.abc import Mapping

import structlog

log = structlog.get_logger(__name__)

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

    @property
    def is_there(self) -> bool:
        """Whether the environment names one."""
        return bool(self._address)

    @property
    def watches(self) -> bool:
        """Whether it wants to be told again and again that the process is alive."""
        return self._interval > 0

    async def keep_told(self) -> None:
        """Says that the process serves and, where it is watched, twice within the limit of the
        watchdog that the event loop turns. Never returns."""
        await self._tell("READY=1")
        while self.watches:
            await self._tell("WATCHDOG=1")
            await asyncio.sleep(self._interval)
        await asyncio.Event().wait()

    def stopping(self) -> None:
        """Says that the process drains, and ends."""
        self._send("STOPPING=1")

    async def _tell(self, state: str) -> None:
        # A unit of type "notify" that was not told READY=1 starts for ever.
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
