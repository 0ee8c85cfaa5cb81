"""What the doctor has found: a line of its report."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from event_gateway.cli.client.requests import FoundGateway
from event_gateway.config.model import Config


class FindingStatus(StrEnum):
    """How something is. ``SKIPPED``: the doctor could not look at it."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """``text`` says what was looked at and how it is; ``remedy`` what to do, in a sentence, empty
    if there is nothing to do."""

    area: str
    status: FindingStatus
    text: str
    remedy: str = ""


class Area:
    """Makes the findings about one part of the installation."""

    def __init__(self, name: str) -> None:
        self.name = name

    def ok(self, text: str) -> Finding:
        """It is as it should be."""
        return Finding(self.name, FindingStatus.OK, text)

    def warning(self, text: str, remedy: str) -> Finding:
        """It works, and may not for long or not as its owner expects."""
        return Finding(self.name, FindingStatus.WARNING, text, remedy)

    def error(self, text: str, remedy: str) -> Finding:
        """It does not work."""
        return Finding(self.name, FindingStatus.ERROR, text, remedy)

    def skipped(self, text: str, remedy: str = "") -> Finding:
        """It was not looked at."""
        return Finding(self.name, FindingStatus.SKIPPED, text, remedy)


def remedy_for(text: str, remedies: Iterable[tuple[str, str]], otherwise: str) -> str:
    """What to do about an error: the first of the remedies whose words are in its text."""
    return next((remedy for words, remedy in remedies if words in text), otherwise)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """What the clock of another machine showed. ``behind``: seconds that it is behind this
    machine's, negative if it is ahead; ``uncertainty``: seconds, half of the time that the answer
    took and what the clock does not show."""

    clock: str
    behind: float
    uncertainty: float


@dataclass(slots=True)
class Installation:
    """What is looked at, and what was learned from it.

    ``config`` is None if it cannot be used; ``config_given``: a file was named. ``endpoints`` are
    the addresses in the data directory of a gateway that runs here. ``webhooks``,
    ``secrets`` and ``sources`` are as the API answers them, None if it was not asked or has
    refused.
    """

    config: Config | None
    config_given: bool
    data_dir: Path
    endpoints: dict[str, Any]
    gateway: FoundGateway
    webhooks: list[dict[str, Any]] | None = None
    secrets: list[dict[str, Any]] | None = None
    sources: list[dict[str, Any]] | None = None
    clocks: list[ClockReading] = field(default_factory=list)

    def server_url(self, name: str) -> str | None:
        """The URL of NATS or Redis (``nats``, ``redis``): that of the configuration, else that of
        the embedded server of a gateway that runs here."""
        return self._configured(name) or self.endpoints.get(name)

    def unknown_server(self, name: str) -> Finding:
        """NATS or Redis (``nats``, ``redis``) was not looked at, as it is not known where it is."""
        area = Area(name)
        if self.config is None:
            return area.skipped(
                "where it is is not known: the configuration cannot be used",
                "Correct the configuration first.",
            )
        return area.skipped(
            "the gateway starts its own, and runs with no data directory that is known here",
            "Give --data-dir, or the gateway's configuration with -c.",
        )

    def start_server(self, name: str, otherwise: str) -> str:
        """What to do if NATS or Redis does not answer: ``otherwise`` if it is not the gateway's
        own."""
        if self._configured(name):
            return otherwise
        if self.config_given:
            return "Start the gateway, whose own it is; its log says why it ended."
        return f"{otherwise} If it is the gateway's own, start the gateway."

    def _configured(self, name: str) -> str | None:
        section = None if self.config is None else getattr(self.config, name)
        url: str | None = None if section is None else section.place
        return url
