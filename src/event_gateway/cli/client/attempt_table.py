"""The attempts of a delivery, as commands show them."""

from typing import Any

from event_gateway.cli.client.output import Line, table


def attempt_table(attempts: list[dict[str, Any]]) -> list[Line]:
    """An empty line and a table of the attempts; nothing if there are none."""
    rows = [
        [
            str(attempt["number"]),
            attempt["time"],
            f"{attempt['duration_ms']} ms",
            str(attempt.get("status_code", "-")),
            ": ".join(filter(None, map(attempt.get, ("error_type", "error_message")))) or "-",
        ]
        for attempt in attempts
    ]
    return ["", *table(["ATTEMPT", "TIME", "TOOK", "CODE", "ERROR"], rows)] if rows else []
