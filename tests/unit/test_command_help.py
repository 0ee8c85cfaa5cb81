"""The help of all commands, and a shell that completes them, import no command."""

import os
import subprocess
import sys

import pytest

# Prints what the command prints, then the modules of commands that it has imported.
LISTING = """
import sys
from event_gateway.cli.main import app
try:
    app(sys.argv[1:], prog_name="event-gateway")
except SystemExit:
    pass
commands = "event_gateway.cli.commands."
print("imported:", [name for name in sys.modules if name.startswith(commands)])
"""


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--help"], {}),
        ([], {"_EVENT_GATEWAY_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args",
              "_TYPER_COMPLETE_ARGS": "event-gateway "}),
    ],
    ids=["help", "completion"],
)  # fmt: skip
def test_commands_are_listed_without_importing_them(
    words: list[str], environ: dict[str, str]
) -> None:
    listed = subprocess.run(
        [sys.executable, "-c", LISTING, *words],
        env=os.environ | environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines() if line.strip()]
    assert ["sources", "Inbound sources: list, show, test."] in lines
    assert lines[-1] == ["imported:", "[]"]
