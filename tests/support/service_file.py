"""Reads the systemd unit in ``deploy/systemd``."""

from pathlib import Path

FILE = Path(__file__).parents[2] / "deploy" / "systemd" / "event-gateway.service"


def service_file() -> dict[str, list[str]]:
    """The values of each key, in their order."""
    values: dict[str, list[str]] = {}
    for line in FILE.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            values.setdefault(name, []).append(value)
    return values
