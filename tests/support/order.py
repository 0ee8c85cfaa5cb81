"""Marks tests by their folder, and orders them so that all workers end at the same time."""

import functools
from pathlib import Path

import pytest

from support.sharing import shares

TESTS = Path(__file__).parents[1]
# The modules that have tests of ten seconds or more, the longest test first: a worker that began
# such a test last would still run when the others have ended.
LONGEST = (
    "programs/test_bench.py", "programs/test_chaos.py", "programs/test_canaries.py",
    "programs/test_prometheus.py", "programs/test_redis_failover.py", "programs/test_docs_page.py",
    "programs/test_nats_permissions.py", "routing/test_burst.py", "console/test_pages.py",
    "programs/test_supervised_tasks.py", "programs/test_replicas.py", "programs/test_power_cut.py",
    "programs/test_api_fuzz.py", "observability/test_health.py", "programs/test_crash.py",
    "programs/test_workers.py", "programs/test_backup.py", "programs/test_four_gateways.py",
    "streaming/test_sse.py", "delivery/test_throttling.py", "observability/test_history.py",
    "console/test_sources.py", "delivery/test_breaker.py", "console/test_webhooks.py",
    "programs/test_recreated_streams.py", "unit/test_logs.py",
    "programs/test_crash_authenticated.py", "programs/test_append_only.py",
    "programs/test_browser.py", "registration/test_strict_requests.py",
    "console/test_compliance.py", "programs/test_cluster_restart.py", "console/test_keyboard.py",
    "console/test_restarts.py", "programs/test_history_of_processes.py",
    "programs/test_browser_guide.py", "programs/test_shutdown.py",
    "programs/test_secured_servers.py", "delivery/test_retries.py",
    "programs/test_redis_in_trouble.py", "programs/test_full_disk.py",
    "programs/test_alert_episode.py", "streaming/test_subscriptions.py",
    "console/test_forged_forms.py", "ingest/test_http_connections.py",
    "ingest/test_cloudevents_gateway.py", "console/test_demo.py", "routing/test_duplicates.py",
    "registration/test_verification.py", "registration/test_renames.py",
    "console/test_watch_pages.py", "programs/test_chain_crashes.py", "console/test_streams.py",
    "delivery/test_manual_retry_limits.py", "programs/test_demo.py", "programs/test_processes.py",
    "registration/test_namespace_walk.py", "state/test_redis_errors.py",
)  # fmt: skip
FOLDERS = (
    "programs", "commands", "delivery", "streaming", "registration", "access", "routing", "ingest",
    "observability", "console", "state", "transport", "unit",
)  # fmt: skip


def mark_and_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks each test with its folder, and orders the tests so that each worker starts with long
    ones. The tests of a module that share a gateway stay together, so that one worker has them.

    xdist gives each worker a range of tests, and lets an idle worker take tests from the others.
    """
    for item in items:
        item.add_marker(folder_of(item))
    items.sort(key=_rank)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    groups = _groups(items)
    items[:] = [
        item for first in range(workers) for group in groups[first::workers] for item in group
    ]


def _groups(items: list[pytest.Item]) -> list[list[pytest.Item]]:
    """A group for each test, and one for all tests of a module that share what they use."""
    groups: list[list[pytest.Item]] = []
    sharing: dict[Path, list[pytest.Item]] = {}
    for item in items:
        if not shares(item):
            groups.append([item])
        elif item.path in sharing:
            sharing[item.path].append(item)
        else:
            sharing[item.path] = [item]
            groups.append(sharing[item.path])
    return groups


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
