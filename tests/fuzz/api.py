"""Fuzzes the API of a running program by its OpenAPI document, with schemathesis.

Starts a gateway, and calls each operation with generated requests, valid and not, as an operator
and as callers with fewer scopes. A response must have a status, a content type, headers and a body
that the document names; what violates the document must be refused; nothing may be a server error.

20,000 requests take an hour on two cores that other work keeps busy: some 13,000 of them, as the
operator, try each parameter and member at its bounds; the others are random, for each caller.
"""

import argparse
import contextlib
import itertools
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
    "/v1/webhooks/bulk", "/v1/webhooks/check",
)  # fmt: skip
FUZZING = 10  # random requests to each operation in a caller's turn
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
# Answers strangers with 200 and no body: providers look so whether a source's URL answers.
_ANSWERS_STRANGERS = """
[[operations]]
include-operation-id = "show_source"
checks.ignored_auth.enabled = false
"""
SCOPES: tuple[tuple[str, ...], ...] = (
    ("admin",), ("webhooks:manage", "secrets:manage"), ("events:publish", "events:read"),
    ("streams:read",), ("deliveries:manage", "metrics:read"),
    ("webhooks:read", "deliveries:read"),
)  # fmt: skip


CONFIG = {
    "streams": {"work": {"subjects": ["user.>"]}},
    # It calls without a valid credential as often as with one.
    "auth": {"failed_logins": {"limit": 1_000_000}},
}


@dataclass(frozen=True)
class Report:
    """``cases``: requests; ``output``: what schemathesis printed of failures, empty without any."""

    cases: int
    output: str


@contextlib.contextmanager
def gateway(directory: Path) -> Iterator[tuple[str, str]]:
    """A running program; its URL and its admin key."""
    configuration = directory / "gateway.yaml"
    configuration.write_text(yaml.safe_dump(CONFIG))
    command = [
        sys.executable, "-m", "event_gateway", "serve", "-c", str(configuration),
        "--data-dir", str(directory / "data"), "--port", "0", "--no-console",
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
        make_document(url, key)
        yield url, key
        assert process.poll() is None, log.read_text()
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait()


def make_document(url: str, key: str) -> None:
    """Has the gateway make its OpenAPI document, which it does at the first request: on a busy
    machine that takes longer than schemathesis waits."""
    headers = {"Authorization": f"Bearer {key}"}
    httpx.get(f"{url}/openapi.json", headers=headers, timeout=START_TIMEOUT).raise_for_status()


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
        operations = "".join(map(_OPERATION.format, _FITS_TWO)) + _ANSWERS_STRANGERS
        settings.write_text(_CHECKS + operations)
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


def turns(keys_of_callers: list[str]) -> Iterator[tuple[str, str, str]]:
    """The runs, without end: the caller's scopes, its key, and what is tried."""
    callers = [" ".join(scopes) for scopes in SCOPES]
    yield callers[0], keys_of_callers[0], "coverage"
    for scopes, key in itertools.cycle(zip(callers, keys_of_callers, strict=True)):
        yield scopes, key, "fuzzing,stateful"


def main() -> int:
    """Runs until each caller had a turn and there were enough cases; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="a regular expression on the path")
    options = parser.parse_args()
    total = failed = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, gateway(Path(directory)) as (url, admin_key):
        for turn, (scopes, key, phases) in enumerate(turns(keys(url, admin_key))):
            if total >= options.cases and turn > len(SCOPES):
                break
            report = run(
                url, key, examples=FUZZING, seed=options.seed + turn, phases=phases,
                only=options.only,
            )  # fmt: skip
            total += report.cases
            failed += bool(report.output)
            print(f"{scopes:34} {phases:16} {report.cases:>6,} cases  "
                  f"{time.monotonic() - began:5.0f} s  {'FAILED' if report.output else 'ok'}",
                  flush=True)  # fmt: skip
            if report.output:
                print(report.output)
                if not report.cases:
                    break
    print(f"{total:,} cases, {failed} runs failed (seed {options.seed})")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
