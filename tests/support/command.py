"""Runs the commands of ``event-gateway`` as real processes."""

import asyncio
import contextlib
import json
import os
import pty
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_gateway.cli.process.serve import Running
from support.gateway_process import GatewayProcess
from support.patience import PATIENCE


@dataclass
class CommandResult:
    """The result of a command that has ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, decoded as JSON."""
        return json.loads(self.out)

    def assert_refused(self, status: int, message: str) -> None:
        """It has printed one line, the error with this message, and nothing else."""
        assert (self.status, self.out) == (status, ""), self.err
        assert len(self.err.splitlines()) == 1
        assert message in self.err


@dataclass
class RunningCommand:
    """A running command."""

    process: GatewayProcess
    _input: int
    _out: asyncio.StreamReader
    _err: asyncio.StreamReader

    def interrupt(self) -> None:
        """Sends SIGINT, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    async def line(self) -> str:
        """The next line that it prints."""
        return (await asyncio.wait_for(self._out.readline(), PATIENCE)).decode()

    async def ended(self, given: str = "") -> CommandResult:
        """Writes ``given`` to its standard input, waits for its end, and returns the result."""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(BrokenPipeError):  # it may end without reading
                await asyncio.to_thread(os.write, self._input, given.encode())
            os.close(self._input)
            out, err = await asyncio.gather(self._out.read(), self._err.read())
            status = await asyncio.to_thread(self.process.wait, 60)
        assert b"Traceback" not in err, err.decode()
        return CommandResult(status, out.decode(), err.decode())


async def start_command(
    *words: str, directory: Path | None = None, **environ: str
) -> RunningCommand:
    """Starts ``event-gateway WORDS``, without a terminal."""
    stdin, ours = os.pipe()
    out, stdout = os.pipe()
    err, stderr = os.pipe()
    process = GatewayProcess(
        list(words), (stdin, stdout, stderr), environ=_clean() | environ, directory=directory
    )
    for theirs in (stdin, stdout, stderr):
        os.close(theirs)
    return RunningCommand(process, ours, await _reader(out), await _reader(err))


async def _reader(descriptor: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    return reader


async def command(
    *words: str, given: str = "", directory: Path | None = None, **environ: str
) -> CommandResult:
    """Runs ``event-gateway WORDS`` with ``given`` on its standard input."""
    return await (await start_command(*words, directory=directory, **environ)).ended(given)


def access(gateway: Running) -> dict[str, Any]:
    """The environment in which commands find a gateway."""
    return {"EVENT_GATEWAY_URL": gateway.http_url, "EVENT_GATEWAY_KEY": gateway.admin_key}


class Terminal:
    """A command at a terminal; ``seen`` is the output so far."""

    def __init__(self, process: GatewayProcess, ours: int) -> None:
        self._process, self._ours = process, ours
        self.seen = ""

    async def until(self, text: str, timeout: float = PATIENCE) -> None:
        """Waits until the command has printed ``text``."""
        async with asyncio.timeout(timeout):
            while text not in self.seen:
                assert await self._read(), f"ended without {text!r}: {self.seen}"

    def types(self, text: str) -> None:
        """Types a text at the terminal."""
        os.write(self._ours, text.encode())

    async def ended(self) -> int:
        """Waits for its end, and returns its exit status."""
        async with asyncio.timeout(PATIENCE):
            while await self._read():
                pass
        return await asyncio.to_thread(self._process.wait, PATIENCE)

    async def _read(self) -> bool:
        try:
            data = await asyncio.to_thread(os.read, self._ours, 4096)
        except OSError:  # the other end is closed
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        """Kills the command if it is still running."""
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@contextlib.asynccontextmanager
async def at_a_terminal(*words: str, **environ: str) -> AsyncIterator[Terminal]:
    """Runs ``event-gateway WORDS`` at a terminal, where Ctrl-C interrupts it."""
    ours, theirs = pty.openpty()
    process = GatewayProcess(
        list(words), (theirs, theirs, theirs), terminal=True,
        environ=_clean() | {"TERM": "xterm", "COLUMNS": "120"} | environ,
    )  # fmt: skip
    os.close(theirs)
    terminal = Terminal(process, ours)
    try:
        yield terminal
    finally:
        terminal.close()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "EVENT_GATEWAY" not in name}
