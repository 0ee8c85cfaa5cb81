"""Shows the demo: live tables on a terminal, plain lines elsewhere."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from event_gateway.cli.demo.figures import DemoFigures
from event_gateway.cli.demo.receivers import HEALTH

NEXT = (
    "next: event-gateway serve",
    "      event-gateway listen --events 'ontology.>'          # in a second terminal",
    "      event-gateway trigger ontology.schema.created       # in a third",
)


class DemoView:
    """Prints what happens line by line, and on a terminal tables above the lines."""

    def __init__(self, figures: DemoFigures, http_url: str, console_link: str | None) -> None:
        """``console_link``: signs in to the console once; None without one."""
        self._figures = figures
        self._console_link = console_link
        self._http_url = http_url
        self._console = Console(highlight=False)
        self._live: Live | None = None
        self._started = time.monotonic()

    def __enter__(self) -> "DemoView":
        if self._console_link is not None:
            self._console.print(f"console  {self._console_link}", markup=False, soft_wrap=True)
            self._console.print("         the link signs in once; the console ends with the demo\n")
        if self._console.is_terminal:
            self._live = Live(self._picture(), console=self._console, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)
            self._live.stop()
            self._live = None

    def line(self, text: str) -> None:
        """Prints a line about something that has just happened."""
        stamped = f"{time.monotonic() - self._started:6.1f}s  {text}"
        self._figures.recent.append(stamped)
        if self._live is None:
            self._console.print(stamped, markup=False, soft_wrap=True)

    def refresh(self) -> None:
        """Draws the tables again, on a terminal."""
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def summary(self, first_delivery: float | None) -> None:
        """Prints the final figures, and the promises that were not kept."""
        figures = self._figures
        total = sum(figures.published.values())
        out = [f"published  {total} events: {figures.over['nats']} over NATS, "
               f"{figures.over['http']} over HTTP"]  # fmt: skip
        for webhook, health in HEALTH.items():
            statuses = figures.statuses(webhook)
            promised = sum(statuses.values())
            ended = f"{statuses['succeeded']} delivered, {statuses['dead_letter']} dead letters"
            out.append(
                f"webhook    {webhook} ({health}): {promised} events, {ended}, "
                f"{figures.retries(webhook)} retries; its receiver counts "
                f"{figures.receivers.requests[webhook]} requests, "
                f"{figures.receivers.taken[webhook]} taken"
            )
        for name, ids in figures.expected.items():
            out.append(
                f"stream     {name}: {len(figures.streamed[name])} of {len(ids)} events live"
            )
        if first_delivery is not None:
            out.append(f"first delivery after {first_delivery:.1f} s")
        broken = figures.broken()
        out += [f"BROKEN     {line}" for line in broken] or ["every promise was kept"]
        self._console.print("\n" + "\n".join([*out, "", *NEXT]), markup=False, soft_wrap=True)

    def _picture(self) -> Group:
        figures = self._figures
        seconds = time.monotonic() - self._started
        head = Text(f"Event Gateway demo  {seconds:.0f} s  {self._http_url}  (Ctrl-C ends it)",
                    style="bold")  # fmt: skip
        domains = "  ".join(f"{name} {count}" for name, count in figures.published.items())
        sources = Text(f"published: {domains}  (NATS {figures.over['nats']}, "
                       f"HTTP {figures.over['http']})")  # fmt: skip
        webhooks = Table(title="webhooks", title_justify="left", expand=True)
        for column in ("webhook", "receiver", "requests", "taken", "delivered", "retries",
                       "waiting", "dead letters"):  # fmt: skip
            webhooks.add_column(column, justify="left" if column in ("webhook", "receiver")
                                else "right")  # fmt: skip
        colours = {"healthy": "green", "flaky": "yellow", "dead": "red"}
        for webhook, health in HEALTH.items():
            statuses = figures.statuses(webhook)
            waiting = sum(statuses.values()) - statuses["succeeded"] - statuses["dead_letter"]
            webhooks.add_row(
                webhook, Text(health, style=colours[health]),
                str(figures.receivers.requests[webhook]), str(figures.receivers.taken[webhook]),
                str(statuses["succeeded"]), str(figures.retries(webhook)), str(waiting),
                str(statuses["dead_letter"]),
            )  # fmt: skip
        streams = Table(title="live subscriber", title_justify="left", expand=True)
        streams.add_column("stream")
        streams.add_column("events", justify="right")
        for name in figures.expected:
            streams.add_row(name, str(len(figures.streamed[name])))
        recent = Text("\n".join(figures.recent), no_wrap=True, overflow="ellipsis")
        return Group(head, sources, webhooks, streams, recent)
