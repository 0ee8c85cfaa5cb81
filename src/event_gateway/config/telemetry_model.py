"""``telemetry``: what the gateway tells of its own work."""

from typing import Literal

from pydantic import Field

from event_gateway.config.values import Section


class LogsModel(Section):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged: debug, info, warning or error."
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto",
        description="json: an object in each line. console: text for people. auto: console if "
        "standard error is a terminal, else json.",
    )


class TelemetryModel(Section):
    """What the gateway tells of its own work."""

    logs: LogsModel = LogsModel()
