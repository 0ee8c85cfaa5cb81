"""The benchmarks run; their results are not asserted."""

import json
import math
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from event_gateway.embedded.process import killed_with_parent

pytestmark = pytest.mark.timeout(900)  # on a busy machine; less than a minute on an idle one
BENCH = Path(__file__).parents[2] / "bench"
PROGRAMS = (
    "gateway", "lean", "gateway, fan-out 10", "lean, fan-out 10", "stock", "taskqueue",
)  # fmt: skip
WAYS_IN = ("POST one by one", "POST batches of 100", "from NATS")
PARTS = (
    "parse", "enrich: splice", "match, 10 webhooks", "match, 10000 webhooks", "to_structured",
    "sign", "requests of one event for 10",
)  # fmt: skip
LATENCIES = ("p50", "p95", "p99", "p99.9")
FIGURES = {
    "deliver": [
        "floor: CPU", "floor: rate",
        *(f"{name}: {what}" for name in PROGRAMS for what in ("CPU", "rate", *LATENCIES)),
    ],
    "ingest": ["floor: CPU", *(f"{name}: {what}" for name in WAYS_IN for what in ("CPU", "rate"))],
    "parts": ["floor: CPU", *(f"{name}: CPU" for name in PARTS)],
    "matching": [
        "floor: CPU", *(f"among {count}: CPU" for count in ("10", "100", "1,000")),
        *(f"{what} a webhook, {which}, among 1,000" for what in ("add", "remove")
          for which in ("median", "max")),
        *(f"1,000 by {what}: CPU" for what in (
            "regular expression", "CEL expression, each its own", "CEL expression, all the same")),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["isolation.py", "--case", "failing", "--failing", "10"], "p99: alone"),
        (["isolation.py", "--case", "backlog", "--backlog", "300"], "p99: alone"),
        (
            [
                "tracking.py",
                "--pending",
                "1200",
                "--dead-letters",
                "3000",
                "--calls",
                "3",
                "--idle",
                "0.1",
            ],
            "delete: sec",
        ),
    ],
)
def test_the_benchmark_runs(command: list[str], message: str) -> None:
    short = ["--runs", "1", "--seconds", "2", "--wave", "1"] if "isolation.py" in command else []
    done = subprocess.run(
        [sys.executable, str(BENCH / command[0]), *command[1:], *short],
        capture_output=True, text=True, check=False, preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert message in done.stdout


def test_every_figure_is_measured_and_drawn(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--only", ",".join(FIGURES), "--out", tmp_path],
        capture_output=True, text=True, check=False, cwd=BENCH.parent,
        preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "results.json").read_text())["figures"]
    measured: dict[str, list[str]] = {}
    for figure in figures:
        measured.setdefault(figure["section"], []).append(figure["name"])
        values = [figure["median"], *figure["samples"]]
        if figure["name"].endswith("CPU") and figure["name"] != "floor: CPU":
            values.append(figure["times_floor"])
        assert all(math.isfinite(value) and value > 0 for value in values), figure
        assert figure["name"] in done.stdout
    assert measured == FIGURES
    drawn = ElementTree.parse(tmp_path / "results.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    words = {text.strip() for text in drawn.itertext()}
    assert words >= {*PROGRAMS, *LATENCIES}
