"""The commands that ask a running gateway, as a user calls them: real processes."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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


async def command(
    *words: str, given: str = "", directory: Path | None = None, **environ: str
) -> Ended:
    """Runs ``event-gateway WORDS`` with ``given`` on its standard input."""
    clean = {name: value for name, value in os.environ.items() if "EVENT_GATEWAY" not in name}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "event_gateway", *words, cwd=directory, env=clean | environ,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(given.encode()), 60)
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Ended(process.returncode, out.decode(), err.decode())
