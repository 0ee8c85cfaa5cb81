"""Fuzzes the API of a running program by its OpenAPI document, with schemathesis.

Starts a gateway, and calls each operation with generated requests, valid and not, as an operator
and as callers with fewer scopes. A response must have a status, a content type, headers and a body
that the document names; what violates the document must be refused; nothing may be a server error.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from event_gateway.embedded.process import killed_with_parent

TESTS = Path(__file__).parents[1]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
START_TIMEOUT = 180.0  # seconds, on a busy machine
# Streams of events have no end. Their messages have targets of their own.
_ENDLESS = ("/v1/streams/{name}/sse", "/v1/audit-log/sse")
# Paths that a route with a parameter fits too: its methods are allowed there as well.
_FITS_TWO = (
    "/v1/dead-letters/replay", "/v1/events/{event_id}/resend",
    "/v1/deliveries/{webhook_id}/{event_id}/cancel",
    "/v1/deliveries/{webhook_id}/{event_id}/retry", "/v1/event-types/import",
    "/v1/secrets/reseal", "/v1/webhooks/match",
    "/v1/webhooks/bulk",
)  # fmt: skip
# A condition over several keys, such as one of ids and a filter, is in the description alone:
# a body that fits the schema may be refused. 412 and 429 come before a body is looked at.
_CHECKS = """
[checks.positive_data_acceptance]
enabled = false
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 409, 412, 413, 415, 422, 429]
"""
_OPERATION = """
[[operations]]
include-path = "{}"
checks.allow_header_conformance.enabled = false
checks.unsupported_method.enabled = false
"""
SCOPES: tuple[tuple[str, ...], ...] = (
    ("admin",), ("webhooks:manage", "secrets:manage"), ("events:publish", "events:read"),
    ("streams:read",), ("deliveries:manage", "metrics:read"),
    ("webhooks:read", "deliveries:read"),
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """``cases``: requests; ``output``: what schemathesis printed of failures, empty without any."""

    cases: int
    output: str


@contextlib.contextmanager
def gateway(directory: Path) -> Iterator[tuple[str, str]]:
    """A running program; its URL and its admin key."""
    configuration = directory / "gateway.yaml"
    configuration.write_text(yaml.safe_dump({
        "streams": {"work": {"subjects": ["user.>"]}},
        # It calls without a valid credential as often as with one.
        "auth": {"failed_logins": {"limit": 1_000_000}},
    }))  # fmt: skip
    command = [
        sys.executable, "-m", "event_gateway", "serve", "-c", str(configuration),
        "--data-dir", str(directory / "data"), "--port", "0",
    ]  # fmt: skip
    log = directory / "gateway.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, preexec_fn=killed_with_parent)
    try:
        endpoints = directory / "data" / "endpoints.json"
        until = time.monotonic() + START_TIMEOUT
        while not endpoints.exists():
            ended = process.poll() is not None or time.monotonic() > until
            assert not ended, log.read_text()
            time.sleep(0.1)
        key = (directory / "data" / "admin.key").read_text().strip()
        url = json.loads(endpoints.read_text())["http"]
        # The document is made at the first request, which takes a busy machine longer than
        # schemathesis waits.
        headers = {"Authorization": f"Bearer {key}"}
        httpx.get(f"{url}/openapi.json", headers=headers, timeout=START_TIMEOUT).raise_for_status()
        yield url, key
        assert process.poll() is None, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait()


def keys(url: str, admin_key: str) -> list[str]:
    """A key for each set of scopes in ``SCOPES``; the first is the admin key."""
    made = [admin_key]
    for scopes in SCOPES[1:]:
        answer = httpx.post(
            f"{url}/v1/keys",
            headers={"Authorization": f"Bearer {admin_key}"},
            json={"name": "fuzz", "scopes": list(scopes)},
        )
        answer.raise_for_status()
        made.append(answer.json()["key"])
    return made


def run(url: str, key: str, *, examples: int, seed: int, phases: str, only: str = "") -> Report:
    """One run with one key: ``examples`` for each operation."""
    with tempfile.TemporaryDirectory() as directory:
        settings = Path(directory) / "schemathesis.toml"
        settings.write_text(_CHECKS + "".join(map(_OPERATION.format, _FITS_TWO)))
        command = [
            str(SCHEMATHESIS), "--config-file", str(settings), "run", f"{url}/openapi.json",
            "-H", f"Authorization: Bearer {key}", "-n", str(examples), "--seed", str(seed),
            "--phases", phases, "--continue-on-failure", "--no-shrink", "--warnings", "off",
            "--suppress-health-check", "all",
        ]  # fmt: skip
        for path in _ENDLESS:
            command += ["--exclude-path", path]
        if only:
            command += ["--include-path-regex", only]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=directory, check=False,
            env=os.environ | {"NO_COLOR": "1"},
        )  # fmt: skip
    counted = re.search(r"(\d+) generated", done.stdout)
    cases = int(counted[1]) if counted else 0
    failed = done.returncode != 0 or not cases
    return Report(cases, done.stdout + done.stderr if failed else "")


def main() -> int:
    """Runs once with each key, and until there were enough cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="a regular expression on the path")
    options = parser.parse_args()
    total = failed = 0
    with tempfile.TemporaryDirectory() as directory, gateway(Path(directory)) as (url, admin_key):
        callers = list(zip(SCOPES, keys(url, admin_key), strict=True))
        turn = 0
        while total < options.cases or turn < len(callers):
            scopes, key = callers[turn % len(callers)]
            report = run(
                url, key, examples=30, seed=options.seed + turn, phases="coverage,fuzzing,stateful",
                only=options.only,
            )  # fmt: skip
            turn += 1
            total += report.cases
            failed += bool(report.output)
            print(f"{' '.join(scopes):34} {report.cases:>6,} cases  "
                  f"{'FAILED' if report.output else 'ok'}", flush=True)  # fmt: skip
            if report.output:
                print(report.output)
                if not report.cases:
                    break
    print(f"{total:,} cases in {turn} runs, {failed} failed (seed {options.seed})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
