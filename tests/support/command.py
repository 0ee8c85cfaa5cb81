"""The commands that ask a running gateway, as a user calls them: real processes."""

import asyncio
import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_gateway.cli.process.serve import Running

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a shell runs in the background ignores it, and so would the commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)
COMMAND = [sys.executable, "-m", "event_gateway"]


@dataclass
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it has printed, decoded."""
        return json.loads(self.out)


@dataclass
class Begun:
    """A command that runs."""

    process: asyncio.subprocess.Process

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), 60)).decode()

    async def ended(self, given: str = "") -> Ended:
        """How it has ended; ``given`` is on its standard input."""
        out, err = await asyncio.wait_for(self.process.communicate(given.encode()), 60)
        assert self.process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Ended(self.process.returncode, out.decode(), err.decode())


async def begin(*words: str, directory: Path | None = None, **environ: str) -> Begun:
    """Begins ``event-gateway WORDS``, without a terminal."""
    return Begun(
        await asyncio.create_subprocess_exec(
            *COMMAND, *words, cwd=directory, env=_clean() | environ,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
    )  # fmt: skip


async def command(
    *words: str, given: str = "", directory: Path | None = None, **environ: str
) -> Ended:
    """Runs ``event-gateway WORDS`` with ``given`` on its standard input."""
    return await (await begin(*words, directory=directory, **environ)).ended(given)


def access(gateway: Running) -> dict[str, str]:
    """The environment in which commands find a gateway."""
    return {"EVENT_GATEWAY_URL": gateway.http_url, "EVENT_GATEWAY_KEY": gateway.admin_key}


class Terminal:
    """A command at a terminal; ``seen`` is what has been shown there."""

    def __init__(self, process: subprocess.Popen[bytes], ours: int) -> None:
        self._process, self._ours = process, ours
        self.seen = ""

    async def until(self, text: str, timeout: float = 30.0) -> None:
        """Returns once ``text`` has been shown."""
        async with asyncio.timeout(timeout):
            while text not in self.seen:
                assert await self._read(), f"ended without {text!r}: {self.seen}"

    def types(self, text: str) -> None:
        """What its user types."""
        os.write(self._ours, text.encode())

    async def ended(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(60):
            while await self._read():
                pass
        return await asyncio.to_thread(self._process.wait, 20)

    async def _read(self) -> bool:
        try:
            got = await asyncio.to_thread(os.read, self._ours, 4096)
        except OSError:  # the other end is closed
            return False
        self.seen += got.decode(errors="replace")
        return bool(got)

    def close(self) -> None:
        """Ends it, where it has not ended."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextlib.asynccontextmanager
async def at_a_terminal(*words: str, **environ: str) -> AsyncIterator[Terminal]:
    """Runs ``event-gateway WORDS`` at a terminal, whose Ctrl-C interrupts it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _AT, *COMMAND[1:], *words], stdin=theirs, stdout=theirs,
        stderr=theirs, env=_clean() | {"TERM": "xterm", "COLUMNS": "120"} | environ,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        terminal.close()


# Takes the terminal as its own before it becomes the command.
_AT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "EVENT_GATEWAY" not in name}
