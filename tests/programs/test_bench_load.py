"""The benchmark of failures, queues and memory gives every figure; the values are not asserted."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from event_gateway.embedded.process import killed_with_parent

pytestmark = pytest.mark.timeout(900)  # on a busy machine; less than a minute on an idle one
ROOT = Path(__file__).parents[2]
FIGURES = {
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


def test_every_figure_is_measured(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--short", "--only", ",".join(FIGURES),
         "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=killed_with_parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    figures = {
        (figure["section"], figure["name"]): figure["median"] for figure in results["figures"]
    }
    assert set(figures) == {(section, name) for section in FIGURES for name in FIGURES[section]}
    assert all(math.isfinite(median) for median in figures.values()), figures
