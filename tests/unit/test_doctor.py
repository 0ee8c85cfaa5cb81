"""What ``event-gateway doctor`` says of servers, clocks, health and alerts."""

import time
from pathlib import Path
from typing import Any

import pytest

from event_gateway.cli.client.requests import FoundGateway
from event_gateway.cli.doctor import machine
from event_gateway.cli.doctor.clock import examine_clocks
from event_gateway.cli.doctor.finding import (
    Area,
    ClockReading,
    Finding,
    FindingStatus,
    Installation,
)
from event_gateway.cli.doctor.gateway import alerting, of_health, states
from event_gateway.cli.doctor.nats import faults_of_stream
from event_gateway.cli.doctor.redis import faults_of_server, faults_of_servers
from event_gateway.cli.doctor.report import as_json, as_lines, is_well
from event_gateway.cli.doctor.secrets import examine_secrets
from event_gateway.config.model import Config
from event_gateway.core.text.urls import CLUSTER, SENTINEL
from event_gateway.state.login import RedisLogin
from event_gateway.state.servers import servers_at

HEALTHY_STREAM = {
    "config": {"name": "GATEWAY_EVENTS", "storage": "file", "num_replicas": 3, "max_bytes": 100},
    "state": {"bytes": 90},
    "cluster": {"name": "c", "leader": "n1"},
}
HEALTHY_REDIS = {
    "role": "master", "aof_enabled": 1, "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok", "used_memory": 90, "maxmemory": 100,
}  # fmt: skip


def _wrong(findings: list[Finding]) -> list[tuple[FindingStatus, str]]:
    wrong = [
        each for each in findings if each.status in (FindingStatus.ERROR, FindingStatus.WARNING)
    ]
    assert all(finding.remedy for finding in wrong)
    return [(finding.status, finding.text) for finding in wrong]


def _installation(**given: Any) -> Installation:
    parts: dict[str, Any] = {
        "config": None, "config_given": False, "data_dir": Path("none"), "endpoints": {},
        "gateway": FoundGateway("http://127.0.0.1:8080", "", None),
    }  # fmt: skip
    return Installation(**parts | given)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"config": {"storage": "memory"}}, "stored in memory"),
        ({"config": {"num_replicas": 1}}, "on one server of the cluster c"),
        ({"cluster": {"leader": ""}}, "has no leader"),
        ({"state": {"bytes": 91}}, "91 B of 100 B"),
    ],
)
def test_streams(changed: dict[str, dict[str, Any]], text: str) -> None:
    assert not list(faults_of_stream(HEALTHY_STREAM))
    stream: dict[str, Any] = HEALTHY_STREAM
    faulty = {part: stream[part] | changed.get(part, {}) for part in stream}
    [(_, found)] = _wrong(list(faults_of_stream(faulty)))
    assert text in found


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"role": "slave"}, "read-only replica"),
        ({"aof_enabled": 0}, "no append-only file"),
        ({"aof_last_write_status": "err"}, "cannot write its append-only file"),
        ({"rdb_last_bgsave_status": "err"}, "cannot write its snapshot"),
        ({"used_memory": 91}, "91 B of 100 B"),
        ({"used_memory": 100}, "uses all of its 100 B, and refuses to write"),
    ],
)
def test_redis(changed: dict[str, Any], text: str) -> None:
    assert not _wrong(list(faults_of_server(HEALTHY_REDIS)))
    [(_, found)] = _wrong(list(faults_of_server(HEALTHY_REDIS | changed)))
    assert text in found


@pytest.mark.parametrize(
    ("kind", "changed", "text"),
    [
        (SENTINEL, {"connected_slaves": 0}, "has no replica"),
        (SENTINEL, {"min_slaves_good_slaves": None}, "cut off from its replicas"),
        (CLUSTER, {"connected_slaves": 0}, "has no replica"),
    ],
)
def test_servers_of_which_one_is_the_primary(kind: str, changed: dict[str, Any], text: str) -> None:
    servers = servers_at(f"{kind}://127.0.0.1:1#m", RedisLogin())
    info = {"connected_slaves": 2, "min_slaves_good_slaves": 2}
    assert not list(faults_of_servers(None, info))
    assert not _wrong(list(faults_of_servers(servers, info)))
    given = {name: value for name, value in (info | changed).items() if value is not None}
    [(_, found)] = _wrong(list(faults_of_servers(servers, given)))
    assert text in found


def test_servers_whose_place_is_not_known_and_servers_that_are_away() -> None:
    own, external = Config(), Config.model_validate({"nats": {"url": "nats://n:4222"}})
    unusable = _installation(config_given=True)
    assert "configuration cannot be used" in unusable.unknown_server("nats").text
    assert "starts its own" in _installation(config=own).unknown_server("nats").text
    given: dict[str, Any] = {"config_given": True}
    assert _installation(config=external, **given).start_server("nats", "Start NATS.") == (
        "Start NATS."
    )
    assert (
        _installation(config=own, **given)
        .start_server("nats", "Start NATS.")
        .startswith("Start the gateway")
    )
    assert (
        _installation(config=own).start_server("nats", "Start NATS.").endswith("start the gateway.")
    )


def test_clocks() -> None:
    found = list(examine_clocks([
        ClockReading("a", behind=2.4, uncertainty=0.5),
        ClockReading("b", behind=12.4, uncertainty=0.5),
        ClockReading("c", behind=-400.0, uncertainty=0.5),
    ]))  # fmt: skip
    assert [finding.status for finding in found] == ["ok", "warning", "error"]
    assert "b is 12 s behind" in found[1].text
    assert "c is 400 s ahead" in found[2].text
    assert [finding.status for finding in examine_clocks([])] == ["skipped"]


def test_health_and_alerts() -> None:
    processes = [{"version": "1.0.0"}, {"version": "1.1.0"}]
    reason = {
        "text": "t", "since": "s", "processes": ["h/1"], "remedy": "Do it.", "see": "Servers",
    }  # fmt: skip
    codes = ("redis_unreachable", "disk_nearly_full", "alert", "of_a_newer_gateway")
    found = of_health({"processes": processes, "reasons": [reason | {"code": c} for c in codes]})
    assert [finding.status for finding in found] == ["error", "warning", "error", "warning"]
    assert found[0].remedy == 'Do it. See "Servers" in docs/operations.md.'
    assert "1.0.0, 1.1.0" in found[-1].text
    alert = {
        "name": "webhook_down", "webhook": "w", "state": "firing", "fired_at": "s",
        "silenced": None, "detail": "d", "runbook": "https://runbooks/",
    }  # fmt: skip
    overall = alert | {"webhook": None, "state": "pending"}
    found = alerting([alert, overall, alert | {"silenced": {}}, alert | {"state": "resolved"}])
    assert [finding.status for finding in found] == ["error", "error", "warning"]
    assert "all webhooks is pending" in found[2].text
    assert [finding.status for finding in alerting([])] == ["ok"]


def test_states_of_webhooks() -> None:
    webhook = {"id": "w", "state": "active", "disabled": None}
    disabled = webhook | {"state": "disabled", "disabled": {"reason": "failures", "at": "s"}}
    others = [webhook | {"state": state} for state in ("unverified", "orphaned", "paused")]
    found = states([webhook, disabled, *others])
    assert [finding.status for finding in found] == ["error", "warning", "warning"]
    assert "renamed_from: w" in found[2].remedy
    assert "failures" in found[0].text
    assert "/v1/webhooks/w/enable" in found[0].remedy


def test_secrets_as_the_gateway_sees_them() -> None:
    secret = {"name": "s", "from": "sealed", "sealed": {"readable": True, "key_id": "k"},
              "used_by": ["w"]}  # fmt: skip
    found = list(examine_secrets(_installation(secrets=[
        secret | {"sealed": {"readable": False, "key_id": "k"}},
        secret | {"from": None, "sealed": None},
        secret | {"from": None, "sealed": None, "used_by": []},
    ])))  # fmt: skip
    assert [finding.status for finding in found] == ["error", "error"]
    assert "cannot be unsealed" in found[0].text
    [finding] = examine_secrets(_installation(secrets=[secret]))
    assert finding.status is FindingStatus.OK
    assert [each.status for each in examine_secrets(_installation())] == ["skipped"]


def test_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "admin.key").write_text("key")
    (tmp_path / "admin.key").chmod(0o644)
    monkeypatch.setattr(machine, "raise_file_limit", lambda: 1024)
    found = list(machine.examine_machine(_installation(data_dir=tmp_path)))
    assert [(each.area, each.status) for each in found] == [
        ("disk", "ok"), ("disk", "error"), ("files", "warning"),
    ]  # fmt: skip
    assert "chmod 600" in found[1].remedy


def test_the_report() -> None:
    area = Area("nats")
    findings = [area.ok("fine"), area.skipped("dark"), area.warning("\x1b[31mred", "Do it.")]
    assert is_well(findings)
    lines = list(as_lines(findings))
    assert lines[:1] == ["ok       nats           fine"]
    assert "-> Do it." in lines[3]
    assert lines[-1] == "1 ok, 1 warning, 0 errors, 1 skipped"
    assert "\x1b" not in "".join(lines)
    findings.append(area.error("broken", "Mend it."))
    report = as_json(findings)
    assert (report["ok"], report["counts"]["error"]) == (False, 1)
    assert report["findings"][-1] == {
        "area": "nats", "status": "error", "text": "broken", "remedy": "Mend it.",
    }  # fmt: skip


def test_time_of_nats_is_read() -> None:
    from event_gateway.cli.doctor.nats import time_of

    assert time_of("2026-11-29T06:13:15.123456789Z") == pytest.approx(1795932795.123456)
    assert time_of("2026-11-29T06:13:15Z") == 1795932795
    assert time_of("soon") is None
    assert time.gmtime(1795932795)[:6] == (2026, 11, 29, 6, 13, 15)
