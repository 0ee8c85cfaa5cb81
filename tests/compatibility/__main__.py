"""Runs tests over versions of NATS, Redis and Python: ``python tests/compatibility``.

Short, which is the default: a named set of tests; each version of one with the newest of the
others, and the oldest of all together. ``--long``: all tests that need servers, over every
combination. ``--results FILE`` writes the table for docs/compatibility.md.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from compatibility import versions  # noqa: E402

SHORT = (  # the scripts in Redis, streams with their sources, a backup with its restoration
    "tests/state/test_ledger.py", "tests/state/test_leases.py", "tests/state/test_slot.py",
    "tests/streaming/test_streams.py",
    "tests/programs/test_backup.py::test_a_restored_gateway_goes_on_where_the_backup_was_made",
)  # fmt: skip
LONG = tuple(
    f"tests/{folder}" for folder in (
        "access", "delivery", "ingest", "observability", "programs", "registration", "routing",
        "state", "streaming",
    )
)  # fmt: skip
_COUNTS = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


def main() -> int:
    """Returns 1 if a test has failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--workers", default="2", help="of pytest")
    parser.add_argument("--only", default="", help="combinations whose name has this text")
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    cache = ROOT / "build" / "compatibility"
    cache.mkdir(parents=True, exist_ok=True)
    stores, pythons = versions.stores(cache), versions.pythons()
    rows, failed = [], False
    for nats, store, python in _combinations(stores, list(pythons), long=arguments.long):
        name = f"NATS {nats}, {store.name}, Python {python}"
        if arguments.only not in name:
            continue
        interpreter = versions.environment(pythons[python], python, ROOT, cache)
        paths = [versions.nats(nats, cache), store.path]
        began = time.monotonic()
        status, result, failures = _run(
            interpreter, paths, LONG if arguments.long else SHORT, arguments.workers
        )
        failed |= status != 0
        print(f"{name}: {result} ({time.monotonic() - began:.0f} s)", flush=True)
        for failure in failures:
            print(f"    {failure}", flush=True)
        rows.append(f"| {nats} | {store.name} | {python} | {result} |")
        if arguments.results is not None:
            head = "| nats-server | Redis | Python | tests |\n| --- | --- | --- | --- |\n"
            arguments.results.write_text(head + "\n".join(rows) + "\n")
    return int(failed)


def _combinations(
    stores: list[versions.Store], pythons: list[str], *, long: bool
) -> list[tuple[str, versions.Store, str]]:
    if long:
        return [(nats, store, python) for nats in versions.NATS for store in stores
                for python in pythons]  # fmt: skip
    newest, base = versions.NATS[-1], pythons[0]
    valkey = next(s for s in stores if s.name == f"Valkey {versions.VALKEY[-1]}")
    oldest = next((s for s in stores if s.name.startswith("Redis")), stores[0])
    chosen = [(versions.NATS[0], oldest, base)]
    chosen += [(nats, valkey, base) for nats in versions.NATS]
    chosen += [(newest, store, base) for store in stores if store is not valkey]
    chosen += [(newest, valkey, python) for python in pythons[1:]]
    return chosen


def _run(
    interpreter: Path, paths: list[Path], tests: tuple[str, ...], workers: str
) -> tuple[int, str, list[str]]:
    """The exit status of pytest, its counts, and what has failed."""
    command = [str(interpreter), "-m", "pytest", "-q", "-n", workers, *tests]
    path = os.pathsep.join(map(str, paths))
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    counts = _COUNTS.findall(ended.stdout.rsplit("\n", 3)[-2] if ended.stdout else "")
    result = ", ".join(f"{number} {what}" for number, what in counts)
    failures = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if not result and ended.returncode != 0:
        failures += ended.stderr.strip().splitlines()[-1:]
    if not result:  # the project's settings leave the last line out where all pass
        result = "passed" if ended.returncode == 0 else f"{len(failures)} failed"
    return ended.returncode, result, failures


if __name__ == "__main__":
    sys.exit(main())
