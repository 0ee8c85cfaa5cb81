"""``event-gateway doctor``: what is wrong with an installation, and the way to mend it."""

import asyncio
import json

import typer

from event_gateway.cli.client.options import JsonOption, KeyOption, UrlOption
from event_gateway.cli.client.place import DATA_DIR, endpoints_in
from event_gateway.cli.client.requests import locate_gateway
from event_gateway.cli.commands.serve import ConfigOption, DataDirOption


def doctor(
    config: ConfigOption = None,
    data_dir: DataDirOption = DATA_DIR,
    url: UrlOption = None,
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for what is wrong: configuration, servers, permissions, disk, clock, DNS, receivers.

    Changes nothing and sends no event. Run it on the gateway's machine, as the gateway's user and
    with its environment. Without a key, or with one of fewer scopes, it says what it could not look
    at. Ends with 1 if it finds an error.
    """
    # Only this command needs what the gateway itself is made of.
    from event_gateway.cli.doctor.configuration import configured_url, examine_configuration
    from event_gateway.cli.doctor.examination import examine
    from event_gateway.cli.doctor.finding import Installation
    from event_gateway.cli.doctor.report import as_json as report_as_json
    from event_gateway.cli.doctor.report import as_lines, is_well
    from event_gateway.observability.logs import LogSettings, configure_logs

    configure_logs(LogSettings(level="critical"))  # the report says what the log would
    loaded, findings = examine_configuration(config)
    endpoints = endpoints_in(data_dir)
    if not url and not endpoints and loaded is not None:
        url = configured_url(loaded)
    installation = Installation(
        config=loaded,
        config_given=config is not None,
        data_dir=data_dir,
        endpoints=endpoints,
        gateway=locate_gateway(url, key),
    )
    try:
        findings += asyncio.run(examine(installation))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(json.dumps(report_as_json(findings), indent=2))
    else:
        for line in as_lines(findings):
            typer.echo(line)
    raise typer.Exit(0 if is_well(findings) else 1)
