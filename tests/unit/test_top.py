"""``event-gateway top``: its figures and its picture, from given metrics."""

from io import StringIO

import pytest
from rich.console import Console

from event_gateway.cli.top.figures import GatewayFigures, figures
from event_gateway.cli.top.picture import View, bars, duration, picture
from event_gateway.cli.top.scrape import Scrape, parse, quantile


def _text(scale: float, **webhooks: float) -> str:
    """Metrics with counters at ``scale``. ``webhooks``: the age of the oldest event of each."""
    lines = [
        'event_gateway_build_info{version="1.2.3",python="3.11"} 1',
        f'event_gateway_events_received_total{{origin="nats"}} {100 * scale}',
        f'event_gateway_events_received_total{{origin="http"}} {50 * scale}',
        'event_gateway_server_connected{server="redis"} 0',
        'event_gateway_stream_subscribers{stream="audit"} 3',
        'event_gateway_stream_subscribers{stream=""} 1',
        f'event_gateway_stream_messages_sent_total{{stream="audit"}} {30 * scale}',
        'event_gateway_alert_firing{name="webhook_down",webhook="bad"} 1',
        'event_gateway_alert_firing{name="delivery_lag",webhook=""} 0',
    ]
    for webhook, oldest in webhooks.items():
        labels = f'webhook="{webhook}"'
        lines += [
            f'event_gateway_attempts_total{{{labels},error_type=""}} {90 * scale}',
            f'event_gateway_attempts_total{{{labels},error_type="ServerError"}} {10 * scale}',
            f'event_gateway_deliveries_total{{{labels},outcome="succeeded"}} {90 * scale}',
            f'event_gateway_delivery_latency_seconds_bucket{{{labels},le="0.1"}} {50 * scale}',
            f'event_gateway_delivery_latency_seconds_bucket{{{labels},le="1"}} {90 * scale}',
            f'event_gateway_delivery_latency_seconds_bucket{{{labels},le="+Inf"}} {90 * scale}',
            f"event_gateway_queue_depth{{{labels}}} 7",
            f"event_gateway_oldest_pending_seconds{{{labels}}} {oldest}",
            f"event_gateway_delivery_lag_seconds{{{labels}}} {oldest / 2}",
            f"event_gateway_breaker_state{{{labels}}} {2 if oldest > 30 else 0}",
            f'event_gateway_webhook_state{{{labels},state="active"}} 1',
            f'event_gateway_webhook_state{{{labels},state="paused"}} 0',
        ]
    return "\n".join(lines) + "\n"


def _figures(first: float = 1, **webhooks: float) -> GatewayFigures:
    return figures(parse(_text(first, **webhooks), 100.0), parse(_text(2, **webhooks), 110.0))


def test_rates_are_those_between_two_readings() -> None:
    shown = _figures(good=0.5)
    assert (shown.version, shown.seconds) == ("1.2.3", 10.0)
    assert (shown.events_in, shown.origins) == (15.0, {"nats": 10.0, "http": 5.0})
    assert (shown.attempts, shown.delivered, shown.success) == (10.0, 9.0, 0.9)
    assert shown.errors == {"ServerError": 1.0}
    assert shown.latency["50%"] == pytest.approx(0.09)
    assert shown.subscribers == 4
    assert [stream.name for stream in shown.streams] == ["", "audit"]
    assert shown.streams[1].sent == 3.0
    assert shown.servers == {"redis": False}
    assert shown.alerts == [{"name": "webhook_down", "webhook": "bad"}]
    (webhook,) = shown.webhooks
    assert (webhook.waiting, webhook.lag, webhook.oldest, webhook.breaker, webhook.state) == (
        7, 0.25, 0.5, "closed", "active",
    )  # fmt: skip
    # Nothing is made up where the process that is asked does not measure it.
    assert (shown.processes, shown.lag_events, shown.lag_seconds) == (None, None, None)


def test_counters_that_began_again_count_from_zero() -> None:
    assert _figures(first=9, good=0).events_in == 30.0


def test_without_attempts_there_is_no_success_rate() -> None:
    scrape = parse(_text(1, good=0), 0.0)
    shown = figures(scrape, Scrape(5.0, scrape.series))
    assert (shown.attempts, shown.success, shown.latency["95%"]) == (0, None, None)
    assert not figures(scrape, scrape).measured


def test_quantiles_are_those_of_prometheus() -> None:
    buckets = {"1": 50.0, "2": 90.0, "+Inf": 100.0}
    assert [quantile(share, buckets) for share in (0.25, 0.5, 0.7, 0.99)] == [0.5, 1.0, 1.5, 2.0]
    assert quantile(0.5, {}) is None
    assert quantile(0.5, {"1": 0.0, "+Inf": 0.0}) is None


@pytest.mark.parametrize(("seconds", "text"), [
    (None, "-"), (0, "0 ms"), (0.0124, "12 ms"), (1.24, "1.2 s"), (125, "2m 5s"),
    (3 * 3600, "3h 0m"), (6 * 86400 + 3600, "6d 1h"),
])  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_bars() -> None:
    assert bars([0, 1, 2, 4], 10) == "▁▂▄█"
    assert bars([5, 0, 0], 2) == "▁▁"
    assert bars([], 5) == ""


def _drawn(view: View, width: int, height: int) -> list[str]:
    out = StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    console.print(picture(view, width, height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10), (300, 15)])
def test_the_picture_fits_into_the_terminal(width: int, height: int) -> None:
    webhooks = {f"webhook_{number:03}": float(number % 50) for number in range(100)}
    shown = _figures(**webhooks)
    view = View("http://127.0.0.1:8080", shown, health="degraded", reasons=["a reason"] * 40,
                events_in=[1.0] * 60, delivered=[2.0] * 60)  # fmt: skip
    lines = _drawn(view, width, height)
    assert len(lines) <= max(height, 16)
    assert all(len(line) <= width for line in lines)


def test_who_needs_somebody_comes_first_and_the_others_are_counted() -> None:
    webhooks = {f"webhook_{number}": 0.0 for number in range(30)} | {"late": 44.0}
    lines = _drawn(View("http://x", _figures(**webhooks), health="ok"), 80, 24)
    at = next(number for number, line in enumerate(lines) if "WEBHOOK" in line)
    assert "late" in lines[at + 1]
    assert "open" in lines[at + 1]
    shown = sum("webhook_" in line and "▲" not in line for line in lines)
    assert any(f"… and {30 - shown} more" in line for line in lines)


def test_names_cannot_control_the_terminal() -> None:
    scrape = parse('event_gateway_events_received_total{origin="\x1b[2J"} 4\n', 1.0)
    view = View("http://x", figures(Scrape(0.0), scrape), reasons=["\x1b[31m"], health="degraded")
    assert "\x1b" not in "".join(_drawn(view, 80, 24))
