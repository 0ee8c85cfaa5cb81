"""Runs the commands that need no gateway, within the test's own process."""

from pathlib import Path

from typer.testing import CliRunner

from event_gateway.cli.main import app
from support.command import Ended


def run_here(*words: str) -> Ended:
    """Runs ``event-gateway WORDS``."""
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def check(path: Path, *options: str) -> Ended:
    """Checks a configuration file."""
    return run_here("check", "-c", str(path), *options)
