"""``event-gateway backup`` and ``restore``: copies of everything that a gateway has stored."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_gateway.cli.client.options import JsonOption
from event_gateway.cli.client.output import fail, print_json
from event_gateway.cli.client.place import DATA_DIR
from event_gateway.cli.commands.serve import ConfigOption, DataDirOption
from event_gateway.core.text.count import count_of

if TYPE_CHECKING:
    from event_gateway.backup.making import Progress
    from event_gateway.backup.manifest import Manifest
    from event_gateway.cli.process.servers import ServerConnections
    from event_gateway.config.model import Config

TargetArgument = Annotated[
    Path, typer.Argument(help="A new directory, or a new file whose name ends with .tar.")
]
SourceArgument = Annotated[Path, typer.Argument(help="The directory or the file of a backup.")]


def backup(
    target: TargetArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = DATA_DIR,
    as_json: JsonOption = False,
) -> None:
    """Copy streams, registry and the state of deliveries, while the gateway runs.

    Sealed secrets are copied as they are: keep the sealing key apart from the backup. Run it with
    the gateway's configuration file and environment.
    """
    from event_gateway.backup.making import make_backup

    async def work(
        servers: "ServerConnections", config: "Config", progress: "Progress"
    ) -> "Manifest":
        return await make_backup(
            servers.broker, servers.client, target,
            external=config.ingest.streams, progress=progress,
        )  # fmt: skip

    manifest, _ = _run(config, data_dir, work, while_running=True)
    if as_json:
        print_json(_summary(manifest, target))
        return
    typer.echo(f"backup written to {target}: {_contents(manifest)}")
    if manifest.sealing_keys:
        typer.echo(
            f"its secrets are sealed with {', '.join(manifest.sealing_keys)}: keep that sealing "
            "key elsewhere, it is not in the backup"
        )


def restore(
    source: SourceArgument,
    config: ConfigOption = None,
    data_dir: DataDirOption = DATA_DIR,
    as_json: JsonOption = False,
) -> None:
    """Make an installation from a backup, on servers that have nothing of a gateway yet.

    The gateway must not be running. Start it afterwards: it goes on where the backup was made.
    """
    from event_gateway.backup.archive import Archive, UnusableBackup
    from event_gateway.backup.restoring import restore_backup

    try:
        archive = Archive(source)  # before a server is started
    except UnusableBackup as error:
        fail(str(error))

    async def work(
        servers: "ServerConnections", config: "Config", progress: "Progress"
    ) -> "Manifest":
        return await restore_backup(
            archive, servers.broker, servers.client,
            external=config.ingest.streams, replicas=config.nats.replicas, progress=progress,
        )  # fmt: skip

    try:
        manifest, missing = _run(config, data_dir, work, while_running=False)
    finally:
        archive.close()
    if as_json:
        print_json(_summary(manifest, source) | {"missing_sealing_keys": missing})
        return
    typer.echo(f"restored from {source}: {_contents(manifest)}")
    if missing:
        typer.echo(
            f"the sealing key {', '.join(missing)} is not here: without it the sealed secrets "
            f"cannot be opened. Before you start the gateway, put it where it was: the variable or "
            f"the file of the configuration, or {data_dir / 'sealing.key'}"
        )


def _run(
    path: Path | None,
    data_dir: Path,
    work: "Callable[[ServerConnections, Config, Progress], Awaitable[Manifest]]",
    *,
    while_running: bool,
) -> "tuple[Manifest, list[str]]":
    """Carries out ``work`` with the servers; returns the manifest, and the ids of the sealing keys
    that this machine does not have. Ends the command if it fails."""
    from event_gateway.app.telemetry import log_settings
    from event_gateway.backup.archive import UnusableBackup
    from event_gateway.backup.restoring import NotRestored
    from event_gateway.broker.connection import BrokerError
    from event_gateway.broker.stream_copies import CopyFailed
    from event_gateway.cli.client.copy_progress import CopyProgress
    from event_gateway.cli.process.configuration import read_config
    from event_gateway.cli.process.servers import ServersUnavailable, reaching_servers
    from event_gateway.config.problems import ConfigError
    from event_gateway.observability.logs import configure_logs
    from event_gateway.state.condition import condition_of
    from event_gateway.state.connection import StateError

    try:
        config, _ = read_config(path)
    except ConfigError as error:
        fail(str(error), 2)
    configure_logs(log_settings(config))

    async def main() -> "tuple[Manifest, list[str]]":
        async with reaching_servers(config, data_dir, while_running=while_running) as servers:
            with CopyProgress() as progress:
                manifest = await work(servers, config, progress.show)
            return manifest, _missing_keys(config, data_dir, manifest)

    try:
        return asyncio.run(main())
    except (UnusableBackup, NotRestored, CopyFailed, ServersUnavailable) as error:
        fail(str(error))
    except StateError as error:
        fail(f"Redis: {condition_of(error)}")
    except BrokerError as error:
        fail(f"NATS: {error or type(error).__name__}")
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _missing_keys(config: "Config", data_dir: Path, manifest: "Manifest") -> list[str]:
    from event_gateway.cli.process.configuration import external_secrets
    from event_gateway.core.access.sealing import CannotSeal, SealingKeys

    key_file = data_dir / "sealing.key" if config.nats.url is None else None
    text = external_secrets(config, key_file).sealing_key()
    try:
        here = SealingKeys(text).ids if text else frozenset()
    except CannotSeal:
        here = frozenset()
    return [key for key in manifest.sealing_keys if key not in here]


def _contents(manifest: "Manifest") -> str:
    from event_gateway.core.text.units import format_size

    size = format_size(sum(part.bytes for part in manifest.parts))
    keys, streams = sum(manifest.keys.values()), len(manifest.streams)
    return f"{keys:,} keys of Redis, {count_of(streams, 'stream')}, {size}"


def _summary(manifest: "Manifest", place: Path) -> dict[str, Any]:
    return {
        "place": str(place),
        "gateway_version": manifest.gateway_version,
        "began_at": manifest.began_at,
        "ended_at": manifest.ended_at,
        "nats_version": manifest.nats_version,
        "redis_version": manifest.redis_version,
        "bytes": sum(part.bytes for part in manifest.parts),
        "keys": manifest.keys,
        "streams": {
            stream.name: {
                "messages": stream.state.get("messages", 0),
                "last_seq": stream.state.get("last_seq", 0),
            }
            for stream in manifest.streams
        },
        "sealing_keys": manifest.sealing_keys,
    }
