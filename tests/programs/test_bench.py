"""The benchmarks run; their results are not asserted."""

import json
import math
import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from event_gateway.embedded.process import killed_with_parent
from support.gateway_process import forked_command

pytestmark = pytest.mark.timeout(1800)  # on a busy machine; less than a minute on an idle one
TESTS = Path(__file__).parents[1]
BENCH = TESTS.parent / "bench"
PROGRAMS = ("lean", "gateway, fan-out 10", "stock", "taskqueue")
FROM_NATS = ("from NATS", "from NATS, 1,000 subjects", "from NATS, one subject")
WAYS_IN = (
    "POST one by one", "POST batches of 100", *FROM_NATS, "POST one by one, not routed",
    "POST batches of 100, not routed",
)  # fmt: skip
PARTS = (
    "parse", "enrich: splice", "match, 10 webhooks", "match, 10000 webhooks", "to_structured",
    "sign", "requests of one event for 10", "metrics of a delivery", "CESQL, one equality",
    "CESQL, usual", "CESQL, ten conditions", "CESQL, parse the usual",
    "door: a known key", "door: a known key with a limit", "door: a known token",
    "chain: digest of a message", "export: line of a message", "verify: line of a message",
)  # fmt: skip
LATENCIES = ("p50", "p95", "p99", "p99.9")
FIGURES = {
    "deliver": [
        "floor: CPU", "floor: rate",
        *(f"{name}: {what}" for name in PROGRAMS for what in ("CPU", "rate", *LATENCIES)),
    ],
    "ingest": [
        "floor: CPU", *(f"{name}: {what}" for name in WAYS_IN for what in ("CPU", "rate")),
        *(f"{name}: Redis: CPU" for name in FROM_NATS),
    ],
    "lowrate": [
        *(f"{rate}/s: {what}" for rate in (20, 100)
          for what in ("CPU", "CPU of NATS and Redis", "p50", "p99")),
        "idle",
    ],
    "parts": ["floor: CPU", *(f"{name}: CPU" for name in PARTS)],
    "matching": [
        "floor: CPU", *(f"among {count}: CPU" for count in ("10", "100", "1,000")),
        *(f"{what} a webhook, {which}, among 1,000" for what in ("add", "remove")
          for which in ("median", "max")),
        *(f"1,000 by {what}: CPU" for what in (
            "regular expression", "CEL expression, each its own", "CEL expression, all the same",
            "CESQL, each its own", "CESQL with an equality")),
    ],
    "failing": [
        "all healthy: rate", "all healthy: p50", "all healthy: p99",
        "all healthy: CPU per delivery",
        "ten down: rate", "ten down: p50", "ten down: p99", "ten down: failed attempts",
        "ten down: CPU per failed attempt",
    ],
    "footprint": [
        "start: until ready", "idle: RSS", "start with many webhooks: until ready",
        "memory per webhook", "memory per live subscriber",
    ],
    "queued": [
        "recording: rate", "recording: CPU", "Redis: memory per queued delivery",
        "Redis: of it the record", "Redis: of it the member of the queue",
        "Redis: of it the event in the cache", "NATS: log per event", "gateway: RSS before",
        "gateway: RSS with all queued", "drain: time", "drain: rate", "drain: CPU",
        "drain: duplicates", "gateway: peak RSS while draining",
        "Redis: memory per delivery once drained",
    ],
}  # fmt: skip
COMPARED = (
    "deliver",
    "ingest",
    "parts",
    "matching",
)  # sections without differences, which may be 0


def _done(*command: str | Path) -> str:
    """Runs a benchmark, which is forked like its programs, and returns its output."""
    done = subprocess.run(
        [*forked_command("support.warm_bench"), *command],
        capture_output=True, text=True, check=False, cwd=BENCH.parent,
        env=os.environ | {"PYTHONPATH": str(TESTS)}, preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_isolation() -> None:
    cases = ["--case", "failing", "backlog", "--failing", "10", "--backlog", "300"]
    short = ["--runs", "1", "--seconds", "2", "--wave", "1"]
    out = _done(BENCH / "isolation.py", *cases, *short)
    for case in ("failing", "backlog"):
        assert f"{case}: 1 runs each" in out
    assert out.count("  p99: alone") == 2


def test_tracking() -> None:
    sizes = ["--pending", "1200", "--dead-letters", "3000", "--calls", "2"]
    assert "delete: sec" in _done(BENCH / "tracking.py", *sizes, "--idle", "0.1", "--pause", "0.05")


def test_peers(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    sizes = ["--events", "100", "--rate", "20", "--seconds", "0.5", "--runs", "1"]
    shown = _done("-m", "bench.peers", *sizes, "--out", out)
    figures = {figure["name"]: figure["median"] for figure in json.loads(out.read_text())}
    assert list(figures) == [
        "CPU of its processes", "CPU of its stores", "rate",
        *(f"{name}: {what}" for name in ("steady", "beside a dead receiver")
          for what in ("CPU of its processes", "CPU of its stores", "p50", "p99")),
    ]  # fmt: skip
    assert all(value > 0 and name in shown for name, value in figures.items())


def test_live_peers(tmp_path: Path) -> None:
    out = tmp_path / "live.json"
    sizes = ["--subscribers", "5", "--idle", "0", "--rate", "20", "--seconds", "0.5", "--runs", "1"]
    shown = _done("-m", "bench.peers.live", *sizes, "--out", out)
    figures = {figure["name"]: figure["median"] for figure in json.loads(out.read_text())}
    assert list(figures) == [
        "CPU of its processes, a message", "CPU of its stores, a message", "p50", "p99",
    ]  # fmt: skip
    assert all(value > 0 and name in shown for name, value in figures.items())


def test_every_figure_is_measured_and_drawn(tmp_path: Path) -> None:
    out = _done("-m", "bench", "--short", "--only", ",".join(FIGURES), "--out", tmp_path)
    figures = json.loads((tmp_path / "results.json").read_text())["figures"]
    measured: dict[str, list[str]] = {}
    for figure in figures:
        section, name = figure["section"], figure["name"]
        measured.setdefault(section, []).append(name)
        values = [figure["median"], *figure["samples"]]
        assert all(math.isfinite(value) for value in values), figure
        if section in COMPARED:
            if name.endswith("CPU") and name != "floor: CPU":
                values.append(figure["times_floor"])
            assert min(values) > 0, figure
        assert name in out
    assert {section: sorted(names) for section, names in measured.items()} == {
        section: sorted(names) for section, names in FIGURES.items()
    }
    drawn = ElementTree.parse(tmp_path / "results.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    words = {text.strip() for text in drawn.itertext()}
    assert words >= {*PROGRAMS, *LATENCIES}
