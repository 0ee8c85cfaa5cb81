"""Looks at the configuration, as ``event-gateway check`` does."""

import os
from pathlib import Path

from event_gateway.cli.doctor.finding import Area, Finding
from event_gateway.cli.process.configuration import (
    contents,
    missing_secrets,
    read_config,
    warnings,
)
from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigError

_area = Area("configuration")
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def configured_url(config: Config) -> str | None:
    """Where a gateway with this configuration listens; None if that is left to the system."""
    server = config.server
    if server.port == 0:
        return None
    host = _LOOPBACK_OF.get(server.host, server.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{'http' if server.tls is None else 'https'}://{shown}:{server.port}"


def examine_configuration(path: Path | None) -> tuple[Config | None, list[Finding]]:
    """The configuration, None if it cannot be used, and what was found."""
    shown = str(path or "environment")
    try:
        config, source = read_config(path)
    except ConfigError as error:
        remedy = "Correct it; event-gateway check prints the same lines."
        return None, [_area.error(str(problem), remedy) for problem in error.problems]
    if path is None and not any(name.startswith("EVENT_GATEWAY__") for name in os.environ):
        text = "no file was named: the defaults are taken for the gateway's configuration"
        return config, [_area.skipped(text, "Give the gateway's file with -c FILE.")]
    missing = missing_secrets(config, source)  # the secrets are looked at by themselves
    return config, [
        _area.ok(f"{shown}: valid, {contents(config)}"),
        *(
            _area.warning(str(problem), "Change this key, and reload the file (SIGHUP).")
            for problem in warnings(config, source)
            if problem not in missing
        ),
    ]
