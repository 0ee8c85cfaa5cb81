"""Runs a gateway, and commands that need none, in the test's own process."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from event_gateway.cli.main import app
from event_gateway.cli.process.serve import Running, running
from event_gateway.config.load import load
from event_gateway.embedded.servers import EmbeddedServers
from event_gateway.request.transformations import compile_definition
from event_gateway.transport.egress_guard import url_rule
from support.command import CommandResult
from support.program import LOOPBACK


@contextlib.asynccontextmanager
async def gateway_in_process(
    directory: Path, config: dict[str, Any] | None = None
) -> AsyncIterator[Running]:
    """A gateway with embedded servers and its data in ``directory``, which may deliver to the
    loopback interface."""
    path = directory / "gateway.yaml"
    given = LOOPBACK | (config or {})
    # Attempts at receivers that never respond are in flight when many tests end.
    server = {"server": {"drain_timeout": "1s"} | given.get("server", {})}
    path.write_text(yaml.safe_dump(given | server))
    loaded = load(path, {}, transformation_rule=compile_definition, url_rule=url_rule)
    async with running(loaded, directory / "data", port=0) as gateway:
        yield gateway


@contextlib.asynccontextmanager
async def servers_at(directory: Path) -> AsyncIterator[tuple[str, str]]:
    """A NATS and a Valkey with their data in ``directory``; yields their URLs."""
    embedded = EmbeddedServers(directory)
    nats_url, redis_url = await embedded.start()
    assert nats_url
    assert redis_url
    yield nats_url, redis_url
    await embedded.stop()


def run_here(*words: str) -> CommandResult:
    """Runs ``event-gateway WORDS``."""
    result = CliRunner().invoke(app, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return CommandResult(result.exit_code, result.stdout, result.stderr)


def check(path: Path, *options: str) -> CommandResult:
    """Checks a configuration file."""
    return run_here("check", "-c", str(path), *options)
