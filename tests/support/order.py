"""Marks tests by their folder, and orders them so that all workers end at the same time."""

import functools
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# The modules that have tests of ten seconds or more, the longest test first: a worker that began
# such a test last would still run when the others have ended.
LONGEST = (
    "programs/test_bench.py", "console/test_pages.py", "programs/test_canaries.py",
    "programs/test_docs_page.py", "programs/test_chaos.py", "programs/test_api_fuzz.py",
    "programs/test_four_gateways.py", "programs/test_replicas.py",
    "programs/test_nats_permissions.py", "programs/test_backup.py", "streaming/test_hand_over.py",
    "programs/test_supervised_tasks.py", "programs/test_crash.py", "programs/test_workers.py",
)  # fmt: skip
FOLDERS = (
    "programs", "commands", "delivery", "streaming", "registration", "access", "routing", "ingest",
    "observability", "console", "state", "transport", "unit",
)  # fmt: skip


def mark_and_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with its folder, and orders the tests so that each worker starts with long
    ones.

    xdist gives each worker a range of tests, and lets an idle worker take tests from the others.
    """
    for item in items:
        item.add_marker(folder_of(item))
    items.sort(key=_rank)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    items[:] = [item for first in range(workers) for item in items[first::workers]]


def folder_of(item: pytest.Item) -> str:
    """The folder of a test under ``tests``."""
    return _place(item.path)[0]


def _rank(item: pytest.Item) -> tuple[int, int]:
    return _place(item.path)[1]


@functools.cache  # thousands of tests are in a few hundred files
def _place(path: Path) -> tuple[str, tuple[int, int]]:
    inner = path.relative_to(TESTS)
    module, folder = inner.as_posix(), inner.parts[0]
    long = LONGEST.index(module) if module in LONGEST else len(LONGEST)
    return folder, (long, FOLDERS.index(folder))
