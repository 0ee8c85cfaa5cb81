"""``event-gateway serve``: runs the gateway."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The configuration file (YAML).")
]
HostOption = Annotated[str | None, typer.Option(help="The address to listen on.")]
PortOption = Annotated[int | None, typer.Option(help="The port; 0: any free port.")]
DataDirOption = Annotated[Path, typer.Option(help="Where keys and embedded servers' data are.")]
WorkersOption = Annotated[
    int, typer.Option(min=1, max=64, help="How many processes share the work.")
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Apply the file's stream limits even if that drops events.")
]


def serve(
    config: ConfigOption = None,
    host: HostOption = None,
    port: PortOption = None,
    data_dir: DataDirOption = Path("data"),
    workers: WorkersOption = 1,
    force: ForceOption = False,
) -> None:
    """Run the gateway, with embedded NATS and Valkey unless their urls are configured."""
    from event_gateway.cli.process.serve import run

    raise typer.Exit(run(config, host, port, data_dir, workers, force=force))
