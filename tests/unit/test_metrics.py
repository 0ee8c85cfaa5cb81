"""Metrics: what they count, in both formats, and the sum over the processes of one serve."""

import asyncio
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families

from event_gateway import __version__
from event_gateway.observability.metrics import (
    MAX_STREAMS,
    MAX_TYPES,
    MAX_WEBHOOKS,
    FigureFiles,
    Metrics,
    SharedFolder,
    exposition,
    families,
    figures,
    metrics,
)
from event_gateway.observability.metrics.families import FAMILIES
from event_gateway.observability.metrics.family import Combine, Kind
from event_gateway.observability.metrics.figure_files import MANY_WEBHOOKS
from event_gateway.observability.metrics.figures import WebhookMetrics
from event_gateway.observability.metrics.reference import reference
from event_gateway.observability.metrics.snapshot import Snapshot, decode, encode

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


def by_labels(family: Metric) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value for sample in family.samples
    }


async def series(of: Metrics) -> dict[str, float]:
    """All series of the Prometheus text, by name and sorted labels."""
    text, _ = await of.text()
    shown: dict[str, float] = {}
    for family in text_string_to_metric_families(text.decode()):
        shown |= by_labels(family)
    return shown


def of_webhook(name: str, webhook: str = "w", **labels: str) -> str:
    return f"event_gateway_{name}{sorted({'webhook': webhook, **labels}.items())}"


@pytest.fixture
def folder(tmp_path: Path) -> SharedFolder:
    shared = SharedFolder(tmp_path / "metrics")
    shared.create()
    return shared


def process(folder: SharedFolder, name: str) -> Metrics:
    return Metrics(FigureFiles(folder.path, name))


def test_the_page_of_the_metrics_is_up_to_date() -> None:
    assert Path("docs/reference/metrics.md").read_text() == reference(), "write it with: make docs"


def test_declarations() -> None:
    names = [family.full_name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert bool(family.bounds) == (family.kind is Kind.HISTOGRAM)
        assert not family.name.endswith("_total")  # which is added to counters
        assert not set(family.help) & {"\\", '"', "\n", "|"}, "would have to be escaped"
        if family.kind is not Kind.GAUGE:
            assert family.combine is Combine.SUM


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        # Prometheus 2.42, and 3
        ("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
         "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("text/plain;version=0.0.4;q=0.9, Application/OpenMetrics-Text ; Q=0.3", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=many", False),
    ],
)  # fmt: skip
def test_the_format_that_is_asked_for(accept: str, expected: bool) -> None:
    assert exposition.wants_open_metrics(accept) is expected


async def test_both_formats_are_read_by_the_parsers_of_prometheus() -> None:
    counted = Metrics()
    counted.figures.set(families.LEADER, 1)
    webhook = counted.webhook('odd "id"\\\n')
    webhook.delivered(0.02, 0.3, 1_700_000_000.25, TRACEPARENT)
    webhook.delivered(0.02, -1.0, 1_700_000_001.0, "00-" + "0" * 52)  # no trace id
    webhook.delivered(0.02, 4000.0, 1_700_000_002.0, 5)
    webhook.attempt_failed("ServerError", 3.0, 1_700_000_003.0, TRACEPARENT)
    webhook.outcome("cancelled")
    counted.received("nats", 3)
    counted.lag(7, 1.5)
    counted.figures.set(families.QUEUE_DEPTH, float("inf"), "w")
    plain, plain_type = await counted.text("text/plain")
    opened, open_type = await counted.text(OPEN_METRICS)
    assert plain_type == "text/plain; version=0.0.4; charset=utf-8"
    assert open_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    read = {family.name: family for family in text_string_to_metric_families(plain.decode())}
    parse: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families
    families_read = list(parse(opened.decode()))
    assert {family.name for family in families_read} == set(read)
    for family in families_read:
        assert by_labels(family) == by_labels(read[family.name]) or family.name.startswith(
            "process_"
        )
    (latency,) = (f for f in families_read if f.name == "event_gateway_delivery_latency_seconds")
    assert latency.unit == "seconds"
    assert {sample.labels["webhook"] for sample in latency.samples} == {'odd "id"\\\n'}
    exemplars = {
        sample.labels["le"]: sample.exemplar for sample in latency.samples if sample.exemplar
    }
    assert list(exemplars) == ["0.5"]
    exemplar = exemplars["0.5"]
    assert exemplar.timestamp is not None
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE}, 0.3)
    assert float(exemplar.timestamp) == 1_700_000_000.25
    assert b"trace_id" not in plain
    (total,) = (sample for sample in latency.samples if sample.name.endswith("_sum"))
    assert total.value == 4000.3  # a clock that is behind the log's takes nothing away


async def test_labels_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Metrics()
    for number in range(MAX_TYPES + 5):
        counted.routed({f"a.{number}": 1})
        counted.schema_violation(f"a.{number}", "warn")
    counted.routed({"a" * 300: 1, "a.\ud800": 1})
    for number in range(MAX_WEBHOOKS + 5):
        counted.webhook(f"w{number}").outcome("succeeded")
    for number in range(MAX_STREAMS + 5):
        counted.streams.sent(f"s{number}", 1)
    shown = await series(counted)

    def of(name: str) -> list[str]:
        return [key for key in shown if key.startswith(f"event_gateway_{name}[")]

    assert len(of("events_routed_total")) == MAX_TYPES + 1
    assert shown["event_gateway_events_routed_total[('type', 'other')]"] == 7
    assert len(of("schema_violations_total")) == MAX_TYPES + 1
    assert len(of("deliveries_total")) == MAX_WEBHOOKS + 1
    assert shown[of_webhook("deliveries_total", "other", outcome="succeeded")] == 5
    assert len(of("stream_messages_sent_total")) == MAX_STREAMS + 1
    assert counted.label_of("w1") == "w1"
    assert counted.label_of("w501") == "other"
    # A label that is free again is for the next webhook: those that have counted under the common
    # label stay there, however many they are.
    monkeypatch.setattr(metrics, "FORGOTTEN_AFTER", 0.0)
    counted.forget_deleted({f"w{number}" for number in range(5, MAX_WEBHOOKS + 5)}, {})
    assert counted.label_of("w1") == "other"
    assert {counted.label_of(f"w{number}") for number in (501, 502, 503)} == {"other"}
    counted.webhook("new")
    assert counted.label_of("new") == "new"


async def test_series_of_what_was_deleted_vanish_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Metrics()
    for name in ("kept", "deleted"):
        counted.webhook(name).outcome("succeeded")
        counted.streams.sent(name, 1)
    gone = [
        of_webhook("deliveries_total", "deleted", outcome="succeeded"),
        "event_gateway_stream_messages_sent_total[('stream', 'deleted')]",
    ]
    counted.forget_deleted({"kept"}, {"kept"})
    shown = await series(counted)
    assert set(gone) <= set(shown)
    monkeypatch.setattr(metrics, "FORGOTTEN_AFTER", -1.0)
    counted.forget_deleted({"kept"}, {"kept"})
    left = await series(counted)
    assert set(shown) - set(left) >= set(gone)
    assert of_webhook("deliveries_total", "kept", outcome="succeeded") in left
    assert "event_gateway_stream_messages_sent_total[('stream', 'kept')]" in left


async def test_any_process_shows_the_sum_also_of_those_that_were_killed(
    folder: SharedFolder,
) -> None:
    first, second = process(folder, "worker-1"), process(folder, "worker-2")
    for counted, seconds in ((first, 0.1), (second, 0.2)):
        counted.webhook("w").delivered(seconds, 0.3, 1.0, TRACEPARENT)
        counted.received("nats", 2)
        counted.figures.set(families.ATTEMPTS_IN_FLIGHT, 3)
        counted.figures.set(families.SERVER_CONNECTED, float(seconds > 0.1), "redis")
        counted.figures.set(families.CONSUMER_LAG, 9)
        await counted.write_changes()
    second.figures.set(families.LEADER, 1)
    await second.write_changes()
    received = "event_gateway_events_received_total[('origin', 'nats')]"
    duration = of_webhook("attempt_duration_seconds_sum")
    expected = {
        received: 4, duration: 0.3, "event_gateway_attempts_in_flight[]": 6,
        "event_gateway_server_connected[('server', 'redis')]": 0,  # the smallest
        "event_gateway_consumer_lag[]": 9, "event_gateway_leader[]": 1,  # of one process
        of_webhook("attempt_duration_seconds_bucket", le="0.25"): 2,
    }  # fmt: skip
    for reader in (first, second):
        shown = await series(reader)
        assert {key: shown[key] for key in expected} == expected
        assert shown["event_gateway_build_info" + str(sorted({
            "version": __version__, "python": platform.python_version(),
        }.items()))] == 1  # fmt: skip
    before = await series(first)
    # Process two is killed: it writes nothing more. The first process adds what it has counted.
    folder.absorb("worker-2")
    folder.absorb("worker-2")  # again, as if it had died on the way
    after = await series(first)
    counters = {key for key in before if "_total" in key or "_bucket" in key or "_sum" in key}
    counters -= {key for key in counters if key.startswith("process_")}
    assert {key: after[key] for key in counters} == {key: before[key] for key in counters}
    assert after["event_gateway_attempts_in_flight[]"] == 3  # what ran in it does not run now
    assert "event_gateway_consumer_lag[]" not in after
    # Another one takes its place.
    three = process(folder, "worker-3")
    three.received("nats", 1)
    assert (await series(three))[received] == 5
    assert (await series(first))[received] == 5
    text, _ = await first.text(OPEN_METRICS)
    assert text.count(TRACE.encode()) >= 2
    assert (folder.path.stat().st_mode & 0o777, sorted(os.listdir(folder.path))) == (
        0o700, ["ended.figures", "worker-1.figures", "worker-3.figures"],
    )  # fmt: skip


async def test_what_a_scrape_showed_is_in_the_file_before_the_process_can_die(
    folder: SharedFolder,
) -> None:
    first, second = process(folder, "worker-1"), process(folder, "worker-2")
    first.received("nats", 5)
    received = "event_gateway_events_received_total[('origin', 'nats')]"
    assert (await series(first))[received] == 5
    assert (await series(second))[received] == 5  # without a turn of the writer of process one


async def test_a_reader_between_two_steps_of_the_first_process_counts_nothing_twice(
    folder: SharedFolder,
) -> None:
    first, second = process(folder, "worker-1"), process(folder, "worker-2")
    second.received("nats", 5)
    await second.write_changes()
    file = folder.path / "worker-2.figures"
    data = file.read_bytes()
    folder.absorb("worker-2")
    file.write_bytes(data)  # as if it had not been removed yet
    assert (await series(first))["event_gateway_events_received_total[('origin', 'nats')]"] == 5


async def test_processes_that_end_together_all_count(folder: SharedFolder) -> None:
    names = [f"worker-{number}" for number in range(1, 41)]
    for name in names:
        counted = process(folder, name)
        counted.received("nats", 1)
        await counted.write_changes()
    await asyncio.gather(*(asyncio.to_thread(folder.absorb, name) for name in names))
    received = "event_gateway_events_received_total[('origin', 'nats')]"
    assert os.listdir(folder.path) == ["ended.figures"]
    reader = process(folder, "worker-41")
    assert (await series(reader))[received] == len(names)
    # The disk did not let go of a file, and its process is added again.
    (folder.path / "worker-40.figures").write_bytes((folder.path / "ended.figures").read_bytes())
    folder.absorb("worker-40")
    assert (await series(reader))[received] == len(names)


async def test_torn_and_foreign_files_take_nothing_away(
    folder: SharedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = process(folder, "worker-1"), process(folder, "worker-2")
    second.received("nats", 5)
    second.webhook("w").outcome("succeeded")
    await second.write_changes()
    received = "event_gateway_events_received_total[('origin', 'nats')]"
    assert (await series(first))[received] == 5
    file = folder.path / "worker-2.figures"
    good = file.read_bytes()
    (folder.path / "README").write_text("foreign")
    (folder.path / "foreign.figures").write_bytes(b"\x93\x01")
    for torn in (b"", good[:-5], good[: len(good) // 2], b"\xc1", b"{}"):
        file.write_bytes(torn)
        assert (await series(first))[received] == 5
    # Figures that a newer version of the program may write.
    snapshot = Snapshot({"unknown": {("a",): 1.0}, "event_gateway_consumer_lag": {("x",): 1.0}})
    (folder.path / "worker-9.figures").write_bytes(encode(snapshot))
    assert (await series(first))[received] == 5


async def test_sums_do_not_depend_on_the_order_of_the_processes(folder: SharedFolder) -> None:
    values = (0.1, 0.2, 0.3, 0.7, 1.1)
    counted = [process(folder, f"worker-{number}") for number, _ in enumerate(values)]
    for each, value in zip(counted, values, strict=True):
        each.webhook("w").delivered(value, value, 1.0)
        await each.write_changes()
    sums = {(await series(each))[of_webhook("delivery_latency_seconds_sum")] for each in counted}
    for number in (3, 1):
        folder.absorb(f"worker-{number}")
        sums.add((await series(counted[0]))[of_webhook("delivery_latency_seconds_sum")])
    assert sums == {2.4}


async def test_what_is_dropped_of_many_ended_webhooks_is_not_what_lives(
    folder: SharedFolder,
) -> None:
    live = process(folder, "worker-1")
    live.webhook("quiet").delivered(0.1, 0.1, 1.0)
    await live.write_changes()
    many = {f"w{number}": WebhookMetrics() for number in range(MANY_WEBHOOKS + 50)}
    for number, webhook in enumerate(many.values()):
        webhook.delivered(0.1, 0.1, 100.0 + number)
    many["quiet"] = WebhookMetrics()
    many["quiet"].delivered(0.1, 0.1, 1.0)
    (folder.path / "worker-2.figures").write_bytes(encode(Snapshot(webhooks=many)))
    folder.absorb("worker-2")
    last = Snapshot(webhooks={"last": WebhookMetrics()})
    (folder.path / "worker-3.figures").write_bytes(encode(last))
    folder.absorb("worker-3")
    ended = decode((folder.path / "ended.figures").read_bytes())
    assert ended is not None
    assert len(ended.webhooks) == MANY_WEBHOOKS
    assert {"quiet", "last", f"w{MANY_WEBHOOKS + 49}"} <= ended.webhooks.keys()
    assert "w0" not in ended.webhooks  # the longest without an attempt


async def test_nothing_is_written_while_nothing_changes(
    folder: SharedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "CPU_STEP", float("inf"))
    counted = process(folder, "worker-1")
    await counted.write_changes()
    file = folder.path / "worker-1.figures"
    written = file.stat().st_ino
    await counted.write_changes()
    assert file.stat().st_ino == written
    counted.duplicate()
    await counted.write_changes()
    assert file.stat().st_ino != written


async def test_a_disk_that_takes_nothing_keeps_the_rest(
    folder: SharedFolder, tmp_path: Path
) -> None:
    first = process(folder, "worker-1")
    folder.remove()
    first.received("nats", 1)
    await first.write_changes()
    assert (await series(first))["event_gateway_events_received_total[('origin', 'nats')]"] == 1
    assert figures.trace_id(TRACEPARENT) == TRACE
