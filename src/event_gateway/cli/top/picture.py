"""Draws the live view: as much as fits into the terminal, what needs attention first."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from event_gateway.cli.client.output import printable
from event_gateway.cli.top.figures import GatewayFigures, StreamFigures, WebhookFigures
from event_gateway.core.text.count import count_of

BARS = "▁▂▃▄▅▆▇█"
MAX_BOTTOM = 12  # rows of streams and alerts
WIDE = 120  # columns, from which on there is room for more
GOOD, NOTICE, BAD, QUIET = "green", "yellow", "bold red", "dim"


@dataclass(slots=True)
class View:
    """What is shown. ``health``: ok, degraded or unavailable, with ``reasons``; ``trouble``: why
    the figures are old; ``events_in``, ``delivered``: the latest rates, the oldest first."""

    url: str
    figures: GatewayFigures
    health: str = ""
    reasons: list[str] = field(default_factory=list)
    trouble: str = ""
    events_in: Sequence[float] = ()
    delivered: Sequence[float] = ()


def picture(view: View, width: int, height: int, *, live: bool = True) -> Group:
    """The whole view for a terminal of this size. ``live``: it has keys."""
    figures = view.figures
    head = [*_head(view, width, live=live), Text(), *_rates(view, width), Text()]
    rows = max(len(figures.streams), len(figures.alerts), 1)
    # The webhooks get at least half of what is left below the head.
    bottom = min(rows, MAX_BOTTOM, max(1, (height - len(head)) // 2 - 3))
    left = max(2, height - len(head) - bottom - 3)
    parts: list[RenderableType] = [*head, _webhooks(figures.webhooks, left, width), Text()]
    parts.append(_bottom(figures, bottom))
    return Group(*parts)


def duration(seconds: float | None) -> str:
    """A time in at most six characters: 12 ms, 1.2 s, 2m 5s, 3h 4m, 5d 6h."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for unit, name, smaller, smaller_name in (
        (86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"),
    ):  # fmt: skip
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // smaller}{smaller_name}"
    return f"{whole} s"


def bars(values: Sequence[float], width: int) -> str:
    """The latest values as bars, relative to the greatest."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return BARS[0] * len(shown)
    return "".join(BARS[min(7, int(value / top * 7.999))] for value in shown)


def _rate(value: float) -> str:
    if value >= 100_000:
        return f"{value / 1000:,.0f}k/s"
    return f"{value:,.0f}/s" if value >= 1000 else f"{value:.1f}/s"


def _share(value: float | None) -> Text:
    if value is None:
        return Text("-", QUIET)
    # 99.99% is not all: it is not rounded up.
    text = f"{int(value * 10000) / 100:.2f}%" if value < 1 else "100%"
    return Text(text, GOOD if value >= 0.99 else NOTICE if value >= 0.95 else BAD)


def _line(*parts: str | Text | tuple[str, str]) -> Text:
    line = Text.assemble(*parts)
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _head(view: View, width: int, *, live: bool) -> list[Text]:
    figures = view.figures
    count = figures.processes
    processes = "" if count is None else f"{count_of(count, 'process')}   "
    right = f"{processes}{time.strftime('%H:%M:%S')}{'   q quits' if live else ''}"
    name = f" Event Gateway {figures.version}"
    room = width - len(name) - len(right) - 4
    url = printable(view.url)
    url = url if len(url) <= room else url[: max(0, room - 1)] + "…"
    title = Text.assemble((name, "bold"), ("  " + url, QUIET))
    title.append(" " * max(1, width - title.cell_len - len(right) - 1))
    title.append(right, QUIET)
    title.no_wrap, title.overflow = True, "ellipsis"
    if view.trouble:
        return [title, _line((f" ● {printable(view.trouble)}", BAD))]
    style = GOOD if view.health == "ok" else BAD if view.health == "unavailable" else NOTICE
    reasons = printable("; ".join(view.reasons))
    return [title, _line((f" ● {view.health or 'health unknown'}", style), ("  " + reasons, style))]


def _rates(view: View, width: int) -> list[Text]:
    figures = view.figures
    room = max(10, min(60, width - 50))
    origins = sorted(figures.origins.items(), key=lambda item: -item[1])
    by_origin = " · ".join(f"{printable(name)} {_rate(rate)}" for name, rate in origins if rate)
    latency = " · ".join(f"{name} {duration(value)}" for name, value in figures.latency.items())
    errors = sorted(figures.errors.items(), key=lambda item: -item[1])
    failing = " · ".join(f"{printable(name)} {_rate(rate)}" for name, rate in errors)
    servers = Text()
    for server, reached in sorted(figures.servers.items()):
        servers.append("   ● ", GOOD if reached else BAD)
        servers.append({"nats": "NATS", "redis": "Redis"}.get(server, server))
    late = figures.lag_seconds or 0.0
    lag = "-" if figures.lag_events is None else f"{figures.lag_events} events, {duration(late)}"
    style = BAD if late >= 30 else NOTICE if late >= 5 else ""
    events_in, delivered, attempts = (
        _rate(rate) if figures.measured else "…"
        for rate in (figures.events_in, figures.delivered, figures.attempts)
    )
    return [
        _line((" events in   ", QUIET), (f"{events_in:>9} ", "bold"),
              (f"{bars(view.events_in, room):<{room}}  ", "cyan"), (by_origin, QUIET)),
        _line((" delivered   ", QUIET), (f"{delivered:>9} ", "bold"),
              (f"{bars(view.delivered, room):<{room}}  ", "green"),
              (f"attempts {attempts}", QUIET)),
        _line((" success     ", QUIET), _share(figures.success), ("   latency ", QUIET), latency,
              ("   " + failing, BAD)),
        _line((" not routed  ", QUIET), (lag, style), ("   live subscribers ", QUIET),
              str(figures.subscribers), servers),
    ]  # fmt: skip


def _plain_table(columns: Sequence[tuple[str, str]]) -> Table:
    """A table without lines; columns: heading and side."""
    table = Table(box=None, expand=True, padding=(0, 1), pad_edge=True, header_style="bold")
    for number, (heading, side) in enumerate(columns):
        table.add_column(
            heading, justify="right" if side == "right" else "left", no_wrap=True,
            ratio=1 if number == 0 else None, overflow="ellipsis",
        )  # fmt: skip
    return table


def _webhooks(webhooks: Sequence[WebhookFigures], rows: int, width: int) -> Table:
    wide = width >= WIDE
    columns = [("WEBHOOK", "left"), ("ATTEMPTS", "right"), ("SUCCESS", "right"),
               ("95%", "right"), ("WAITING", "right"), ("LAG", "right")]  # fmt: skip
    if wide:
        columns += [("DEAD LETTERS", "right"), ("THROTTLED", "right"), ("BREAKER", "left")]
    table = _plain_table([*columns, ("STATE", "left")])
    more = len(webhooks) - rows
    for webhook in webhooks[: rows if more <= 0 else rows - 1]:
        lag = webhook.lag or 0.0
        cells: list[str | Text] = [
            printable(webhook.id), _rate(webhook.attempts), _share(webhook.success),
            duration(webhook.latency_95), "-" if webhook.waiting is None else str(webhook.waiting),
            Text(duration(webhook.lag), BAD if lag >= 30 else NOTICE if lag >= 10 else ""),
        ]  # fmt: skip
        if wide:
            throttled = duration(webhook.throttled) if webhook.throttled else "-"
            cells += [str(webhook.dead_letters), throttled, _breaker(webhook)]
        table.add_row(*cells, _state(webhook, short=not wide))
    if more > 0:
        table.add_row(Text(f"… and {more + 1} more", QUIET))
    if not webhooks:
        table.add_row(Text("no webhooks", QUIET))
    return table


def _breaker(webhook: WebhookFigures) -> Text:
    style = {"closed": GOOD, "open": BAD, "half-open": NOTICE}.get(webhook.breaker, QUIET)
    return Text(webhook.breaker or "-", style)


def _state(webhook: WebhookFigures, *, short: bool) -> Text:
    """The state of a webhook; where there is no column for them, its breaker and throttle."""
    if webhook.state not in ("", "active"):
        return Text(webhook.state, BAD if webhook.state == "disabled" else NOTICE)
    if short and webhook.breaker not in ("", "closed"):
        return Text(f"{webhook.breaker}", BAD if webhook.breaker == "open" else NOTICE)
    if short and webhook.throttled:
        return Text("throttled", NOTICE)
    return Text(webhook.state or "-", GOOD if webhook.state else QUIET)


def _bottom(figures: GatewayFigures, rows: int) -> Table:
    side = Table.grid(expand=True)
    side.add_column(ratio=1)
    side.add_column(ratio=1)
    side.add_row(_streams(figures.streams, rows), _alerts(figures.alerts, rows))
    return side


def _streams(streams: Sequence[StreamFigures], rows: int) -> Table:
    table = _plain_table([("STREAM", "left"), ("SUBSCRIBERS", "right"), ("SENT", "right")])
    more = len(streams) - rows
    for stream in streams[: rows if more <= 0 else rows - 1]:
        name = printable(stream.name) if stream.name else "(subjects)"
        table.add_row(name, str(stream.subscribers), _rate(stream.sent))
    if more > 0:
        table.add_row(Text(f"… and {more + 1} more", QUIET))
    if not streams:
        table.add_row(Text("no streams", QUIET))
    return table


def _alerts(alerts: Sequence[dict[str, str]], rows: int) -> Table:
    table = _plain_table([("ALERTS", "left"), ("WEBHOOK", "left")])
    more = len(alerts) - rows
    for alert in alerts[: rows if more <= 0 else rows - 1]:
        webhook = printable(alert["webhook"]) or "all"
        table.add_row(Text(f"▲ {printable(alert['name'])}", BAD), webhook)
    if more > 0:
        table.add_row(Text(f"… and {more + 1} more", BAD))
    if not alerts:
        table.add_row(Text("none firing", QUIET))
    return table
