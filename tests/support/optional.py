"""Tests that need a program which not every machine has: they run where it is found.

The summary names what was left out and why. With ``TESTS_REQUIRE_ALL`` in the environment, as in
``.ci/run``, a run without one of the programs ends at its start.
"""

import os
import shutil
from collections import Counter

import pytest

from support.browser import BROWSERS

REQUIRED = "TESTS_REQUIRE_ALL"
# The programs of each mark: of a group, one is enough.
NEEDED: dict[str, list[tuple[str, ...]]] = {
    "browser": [BROWSERS],
    "curl": [("curl",)],
    "prometheus": [("prometheus",), ("promtool",)],
    "redis": [("redis-check-rdb",)],  # is also the server, with TLS, under another name
}


def missing_programs() -> dict[str, str]:
    """What is not found, by the mark of the tests that need it."""
    missing = {
        mark: [" or ".join(group) for group in groups if not any(map(shutil.which, group))]
        for mark, groups in NEEDED.items()
    }
    return {mark: " and ".join(programs) for mark, programs in missing.items() if programs}


def check_required() -> None:
    """Raises UsageError if this run must leave nothing out, and something is missing."""
    missing = missing_programs()
    if missing and os.environ.get(REQUIRED):
        raise pytest.UsageError(f"{REQUIRED} is set, and there is no {', '.join(missing.values())}")


def leave_out(items: list[pytest.Item]) -> None:
    """Skips the tests whose program is missing."""
    for mark, programs in missing_programs().items():
        for item in items:
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=f"{mark}: there is no {programs}"))


def left_out(skipped: list[pytest.TestReport]) -> list[str]:
    """A line for each reason for which tests were skipped, with their number."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in skipped
        if isinstance(report.longrepr, tuple)
    )
    return [f"left out ({count}): {reason}" for reason, count in sorted(reasons.items())]
