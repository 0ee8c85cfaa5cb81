"""The benchmarks run; what they measure is not asserted."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["main_job.py", "--events", "300"], "times the floor"),
        (["isolation.py", "--case", "sick", "--sick", "10"], "p99: alone"),
        (["isolation.py", "--case", "deep", "--deep", "300"], "p99: alone"),
        (["tracking.py", "--waiting", "1200", "--letters", "3000", "--idle", "0.1"], "delete: sec"),
    ],
)
def test_it_runs(command: list[str], says: str) -> None:
    short = ["--runs", "1", "--seconds", "16"] if "isolation.py" in command else []
    done = subprocess.run(
        [sys.executable, str(BENCH / command[0]), *command[1:], *short],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
