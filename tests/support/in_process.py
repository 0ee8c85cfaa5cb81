"""Runs commands that need no gateway, in the test's own process."""

from pathlib import Path

from typer.testing import CliRunner

from event_gateway.cli.main import app
from support.command import CommandResult


def run_here(*words: str) -> CommandResult:
    """Runs ``event-gateway WORDS``."""
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def check(path: Path, *options: str) -> CommandResult:
    """Checks a configuration file."""
    return run_here("check", "-c", str(path), *options)
