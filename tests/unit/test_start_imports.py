"""A gateway imports what only some gateways need when it needs it: the start and an idle process
are small."""

import os
import subprocess
import sys
from pathlib import Path

# Cryptography's is the library in Rust, which all of its modules import.
LATER = (
    "cryptography.hazmat.bindings._rust", "joserfc", "jsonschema_rs", "re2", "rich",
    "opentelemetry.sdk", "cel_expr_python", "jinja2", "httpx", "mcp", "aiohttp.client",
)  # fmt: skip
STARTING = f"""
import sys
from event_gateway.cli.process.lean_imports import import_lean
import_lean()
import event_gateway.cli.process.serve
print([name for name in {LATER!r} if name in sys.modules])
import rich, opentelemetry.sdk
from nats.aio import transport
print(transport.aiohttp.WSMsgType.BINARY.name)
"""


def test_what_only_some_gateways_need_is_not_imported_at_the_start() -> None:
    command = [sys.executable, "-c", STARTING]
    started = subprocess.run(command, capture_output=True, text=True, check=True)
    assert started.stdout.split() == ["[]", "BINARY"]


def test_a_library_that_is_needed_at_once_is_imported_at_once(tmp_path: Path) -> None:
    """As it would be if another version of nats-py used aiohttp while it is imported."""
    (tmp_path / "aiohttp.py").write_text("KIND = 'real'\n")
    (tmp_path / "nats.py").write_text("import aiohttp\nKIND = aiohttp.KIND\n")
    code = (
        "from event_gateway.cli.process.lean_imports import import_lean; import_lean();"
        "import aiohttp, nats; print(nats.KIND, aiohttp.KIND)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert shown.split() == ["real", "real"]
