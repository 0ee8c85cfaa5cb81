"""``event-gateway serve``: runs the gateway."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from event_gateway.cli.client.output import fail

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file (YAML).")
]
HostOption = Annotated[str | None, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="The port to listen on; 0 takes a free one.")]
DataDirOption = Annotated[
    Path, typer.Option(help="The directory for keys and for the data of the embedded servers.")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=64, help="The number of processes that share the work.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Apply the file even if that drops events of streams, or "
                       "deliveries that wait for a webhook which it does not name any more.")
]  # fmt: skip
WatchOption = Annotated[
    bool, typer.Option("--watch", help="Reload the file whenever it changes, as SIGHUP does.")
]
ConsoleOption = Annotated[
    bool | None,
    typer.Option(
        "--console/--no-console",
        help="Whether the console runs, in place of what the file says. Default: it runs.",
        show_default=False,
    ),
]
LogLevelOption = Annotated[
    LogLevel | None, typer.Option(help="The lowest level to log, in place of the file's.")
]
LogFormatOption = Annotated[
    LogFormat | None, typer.Option(help="The format of log lines, in place of the file's.")
]


def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataDirOption = Path("data"),
    workers: WorkersOption = 1,
    force: ForceOption = False,
    watch: WatchOption = False,
    console: ConsoleOption = None,
    log_level: LogLevelOption = None,
    log_format: LogFormatOption = None,
) -> None:
    """Run the gateway, with embedded NATS and Valkey unless their urls are configured."""
    from event_gateway.cli.process.lean_imports import import_lean
    from event_gateway.cli.process.limits import collect_rarely

    collect_rarely()
    import_lean()
    from event_gateway.cli.process.serve import run

    # In the environment, so that worker processes and each reload know it too.
    for name, chosen in (("LEVEL", log_level), ("FORMAT", log_format)):
        if chosen is not None:
            os.environ[f"EVENT_GATEWAY__TELEMETRY__LOGS__{name}"] = chosen
    if watch and config is None:
        fail("--watch needs a file: give --config", 2)
    raise typer.Exit(
        run(config, host, port, data_dir, workers, force=force, watched=watch, console=console)
    )
