"""Telemetry as the configuration wants it."""

from event_gateway.config.model import Config
from event_gateway.observability.logs import LogSettings


def log_settings(config: Config) -> LogSettings:
    """How this process logs."""
    return LogSettings(config.telemetry.logs.level, config.telemetry.logs.format)
