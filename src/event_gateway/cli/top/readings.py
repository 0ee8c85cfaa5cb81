"""Reads a gateway every few seconds, and draws what it says."""

import asyncio
import contextlib
import signal
import time
from collections import deque

from rich.console import Console
from rich.live import Live

from event_gateway.cli.client.gateway_client import GatewayClient
from event_gateway.cli.client.output import fail
from event_gateway.cli.client.requests import content_or_fail
from event_gateway.cli.client.typed_keys import typed_keys
from event_gateway.cli.top.figures import figures
from event_gateway.cli.top.picture import View, picture
from event_gateway.cli.top.scrape import Scrape, parse

WINDOW = 10.0  # seconds over which rates are taken
KEPT = 60  # rates for the bars
QUITS = frozenset(b"qQ\x03\x04")


class LatestReadings:
    """The latest readings of a gateway."""

    def __init__(self, client: GatewayClient, url: str) -> None:
        self._client = client
        self._scrapes: deque[Scrape] = deque()
        self._events_in: deque[float] = deque(maxlen=KEPT)
        self._delivered: deque[float] = deque(maxlen=KEPT)
        self.view = View(url, figures(Scrape(0), Scrape(0)), events_in=self._events_in,
                         delivered=self._delivered)  # fmt: skip

    async def read(self) -> None:
        """Reads metrics and health. Raises ConnectionError, also if the gateway is about to start
        or to end; ends the command if it refuses the key."""
        status, body = await self._client.read("/metrics")
        if status >= 500:
            raise ConnectionError(f"{self.view.url} answered {status}")
        if status != 200:
            content_or_fail(*await self._client.request("GET", "/metrics"))
        try:
            scrape = parse(body.decode(), time.monotonic())
        except ValueError:
            fail(f"{self.view.url} does not answer as a gateway does")
        self._scrapes.append(scrape)
        while len(self._scrapes) > 2 and scrape.at - self._scrapes[1].at >= WINDOW:
            self._scrapes.popleft()
        latest = self.view.figures = figures(self._scrapes[0], scrape)
        if latest.measured:
            self._events_in.append(latest.events_in)
            self._delivered.append(latest.delivered)
        await self._read_health()
        self.view.trouble = ""

    async def _read_health(self) -> None:
        """Whether the process that answers can work, and if so, the health of the whole gateway."""
        _, own = await self._client.request("GET", "/readyz")
        health, reasons = own.get("status"), own.get("reasons")
        if health in ("ok", "degraded"):
            status, whole = await self._client.request("GET", "/v1/health")
            if status == 200:
                health = whole["status"]
                reasons = [reason["text"] for reason in whole["reasons"]]
        self.view.health, self.view.reasons = str(health), reasons or []


async def watch(readings: LatestReadings, console: Console, interval: float) -> None:
    """Draws the gateway on the whole terminal until a key or a signal ends it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    await readings.read()
    with (
        Live(console=console, screen=True, auto_refresh=False) as live,
        typed_keys(lambda keys: ended.set() if not keys or QUITS & set(keys) else None),
    ):

        def draw() -> None:
            size = console.size
            live.update(picture(readings.view, size.width, size.height), refresh=True)

        loop.add_signal_handler(signal.SIGWINCH, draw)
        draw()
        while True:
            # Rates need a second reading, for which the user should not wait for long.
            wait = interval if readings.view.figures.measured else min(interval, 1.0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), wait)
                return
            try:
                await readings.read()
            except ConnectionError as error:
                readings.view.trouble = f"no answer, the figures are old: {error}"
            draw()
