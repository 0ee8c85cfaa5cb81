"""The configuration file: what loads, and the one line that each mistake gets."""

import subprocess
import sys
from pathlib import Path

import pytest

from event_gateway.config.definitions import webhook_of
from event_gateway.config.ingest_subjects import captured_subjects, unfed_patterns
from event_gateway.config.load import ConfigError, load
from event_gateway.config.model import Config

TRANSFORMATIONS = frozenset(("standard", "analytics_format"))


def loaded(text: str, tmp_path: Path, **environ: str) -> Config:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return load(path, environ, transformations=TRANSFORMATIONS)


def test_the_original_loads_with_its_defaults() -> None:
    config = load(Path("examples/gateway.yaml"), {}, transformations=TRANSFORMATIONS)
    crm = webhook_of(config.webhooks["external_crm"], "external_crm", managed_by="file")
    assert (crm.retry_policy.max_attempts, crm.timeout, crm.concurrency) == (3, 15.0, 32)
    assert config.webhooks["analytics_platform"].retry_policy.max_attempts == 5
    assert config.streams["audit_stream"].retention == 2 * 365 * 86400
    assert config.streams["audit_stream"].compliance
    assert set(captured_subjects(config)) == {
        "ontology.>", "terminus.>", "audit.>", "scheduler.>", "user.>", "events.>",
    }  # fmt: skip
    assert unfed_patterns(config) == []


def test_the_environment_overrides_and_fills_in(tmp_path: Path) -> None:
    text = "webhooks:\n  w: {url: 'https://${HOST:-example.com}/${P}', events: [a.b]}\n"
    config = loaded(text, tmp_path, P="x", EVENT_GATEWAY__SERVER__PORT="9000",
                    EVENT_GATEWAY__DELIVERY__ALLOW_NETWORKS='["10.0.0.0/8"]')  # fmt: skip
    assert config.webhooks["w"].url == "https://example.com/x"
    assert (config.server.port, config.delivery.allow_networks) == (9000, ["10.0.0.0/8"])


W = "webhooks:\n  w:\n    url: https://example.com/\n    events: [a.b]\n"


@pytest.mark.parametrize(
    ("text", "line", "key", "says"),
    [
        ("webhoks: {}\n", 1, "webhoks", "webhooks"),
        (W + "    tmeout: 1s\n", 5, "webhooks.w.tmeout", "timeout"),
        (W + "    timeout: soon\n", 5, "webhooks.w.timeout", "soon"),
        (W + "    retry_policy: {max_attempts: 0}\n", 5, "max_attempts", "1"),
        (W + "    transformation: crm\n", 5, "webhooks.w.transformation", "analytics_format"),
        (W + "    filters:\n      - {field: a, operator: near, value: 1}\n", 6, "operator", "near"),
        (W + "    timeout: 1s\n    timeout: 2s\n", 6, "webhooks.w.timeout", "twice"),
        ("webhooks:\n  'bad id': {url: https://example.com/, events: [a]}\n", 2, "bad id", "id"),
        ("webhooks:\n  w: {url: 'ftp://x/', events: [a]}\n", 2, "webhooks.w.url", "http"),
        ("server: {max_body: lots}\n", 1, "server.max_body", "lots"),
        ("delivery: {allow_networks: [10.0.0.1/8]}\n", 1, "delivery.allow_networks", "10.0.0.1"),
        ("streams:\n  s: {subjects: ['a.>.b']}\n", 2, "streams.s", ">"),
        ("webhooks: [1, 2\n", 2, "", ""),
    ],
)
def test_mistakes_get_a_line(tmp_path: Path, text: str, line: int, key: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(text, tmp_path)
    problem = str(caught.value.problems[0])
    assert problem.startswith(f"{tmp_path / 'gateway.yaml'}:{line}: "), problem
    assert key in problem
    assert says in problem
    assert "\n" not in problem


def test_check(tmp_path: Path) -> None:
    def check(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "event_gateway", "check", "-c", str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = check(Path("examples/gateway.yaml"))
    assert good.returncode == 0
    assert "3 webhooks, 3 streams" in good.stdout
    assert "siem_token is missing" in good.stderr
    bad = tmp_path / "bad.yaml"
    bad.write_text("server: {prt: 1}\nnats: {ulr: x}\n")
    done = check(bad)
    assert (done.returncode, done.stdout) == (2, "")
    assert [one.split(": ")[:2] for one in done.stderr.splitlines()] == [
        [f"{bad}:1", "server.prt"], [f"{bad}:2", "nats.ulr"],
    ]  # fmt: skip
    missing = check(tmp_path / "none.yaml")
    assert missing.returncode == 2
    assert len(missing.stderr.splitlines()) == 1
