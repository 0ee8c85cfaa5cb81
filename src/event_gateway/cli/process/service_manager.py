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
    def watches(self) -> bool:
        """Whether it wants to be told again and again that the process is alive."""
        return self._interval > 0

    def ready(self) -> None:
        """The process serves."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The process drains, and ends."""
        self._send("STOPPING=1")

    async def keep_alive(self) -> None:
        """Says twice within the limit of the watchdog that the event loop turns; never returns."""
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._interval)

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(state.encode(), self._address)
        except OSError as error:
            log.warning("systemd was not told the state", state=state, error=str(error))
