"""Fuzzes the parsers for some minutes, guided by coverage, and reports the cases of each."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz.targets import TARGETS

ONE = Path(__file__).with_name("one_target.py")


def run(name: str, seconds: float, seed: int) -> tuple[int, str]:
    """Runs one target; returns the number of its cases, and what was printed if one failed."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.run(
            [sys.executable, str(ONE), name, str(seconds), str(seed)],
            stdout=subprocess.PIPE, stderr=errors, text=True, check=False,
        )  # fmt: skip
        errors.seek(0)
        counts = process.stdout.split()
        cases = int(counts[-1]) if counts else 0
        return cases, errors.read() if process.returncode or not cases else ""


def main() -> int:
    """Runs the targets one after the other; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="only targets with this text in their name")
    options = parser.parse_args()
    names = [name for name in TARGETS if options.only in name]
    total = failed = 0
    for name in names:
        cases, failure = run(name, options.minutes * 60 / len(names), options.seed)
        total += cases
        failed += bool(failure)
        print(f"{name:20} {cases:>9,} cases  {'FAILED' if failure else 'ok'}", flush=True)
        if failure:
            print(failure)
    print(f"{len(names)} targets, {total:,} cases, {failed} failed (seed {options.seed})")
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
