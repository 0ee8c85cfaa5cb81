"""``event-gateway doctor`` against real servers."""

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from event_gateway.cli.client.requests import FoundGateway
from event_gateway.cli.doctor import examination
from event_gateway.cli.doctor.finding import Finding, Installation
from event_gateway.config.load import load
from event_gateway.embedded.servers import usable_port
from event_gateway.request.transformations import compile_definition
from event_gateway.transport.egress_guard import url_rule
from support import secured_servers
from support.certificates import Authority
from support.command import access, command
from support.fixtures import Start
from support.program import LOOPBACK
from support.receiver import serving
from support.tcp_server import tcp_server


def _found(report: dict[str, Any], area: str, *parts: str) -> dict[str, Any]:
    """The one finding of an area whose text has all of these parts."""
    findings = [
        finding
        for finding in report["findings"]
        if finding["area"] == area and all(part in finding["text"] for part in parts)
    ]
    assert len(findings) == 1, (parts, report["findings"])
    return dict(findings[0])


def _is_complete(findings: Iterable[dict[str, Any]]) -> bool:
    """Whether each fault has the way to mend it."""
    return all(
        finding["remedy"] for finding in findings if finding["status"] in ("warning", "error")
    )


async def test_a_running_gateway(start: Start, connect: Start, tmp_path: Path) -> None:
    requests: list[Any] = []

    async def receive(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] == "http":
            requests.append(scope["path"])

    authority = Authority(tmp_path)
    (tmp_path / "secrets").mkdir()
    authority.write_own("secrets/ca.pem")
    certificate = authority.write("server.pem", "127.0.0.1", days=3)
    dead = usable_port()
    async with serving(receive, ssl_certfile=certificate) as url, serving(receive) as plain:
        webhooks: dict[str, dict[str, Any]] = {
            "trusted": {"url": f"{url}/token-in-path", "tls": {"ca": "ca.pem"}},
            "untrusted": {"url": f"{url}/"},
            "plain": {"url": f"{plain}/"},
            "dead": {"url": f"http://127.0.0.1:{dead}/"},
            "unnamed": {"url": "https://does-not-exist.invalid/"},
            "named": {
                "url": f"{plain}/",
                "security": [{"auth_type": "bearer_token", "secret_name": "nobody_has_it"}],
            },
        }
        settings = {
            "secrets": {"dir": str(tmp_path / "secrets")},
            "webhooks": {name: {"events": ["a.>"]} | each for name, each in webhooks.items()},
        }
        gateway = await start(settings)
        client = await connect(gateway)
        await client.webhook(id="registered", url=f"https://127.0.0.1:{dead}/r", events=["a.>"])
        words = ("-c", str(tmp_path / "gateway.yaml"), "--data-dir", str(tmp_path / "data"))
        # The data directory says where the gateway is, and has its key.
        result = await command("doctor", *words, "--json")
        report = result.json
        assert (result.status, report["ok"]) == (1, False)
        assert _is_complete(report["findings"])
        assert report["counts"]["error"] == sum(
            finding["status"] == "error" for finding in report["findings"]
        )
        for area, *parts in (
            ("configuration", "valid, 6 webhooks"),
            ("gateway", "answers, version"),
            ("gateway", "/readyz is 200"),
            ("alerts", "none fires"),
            ("nats", "answers, version 2."),
            ("nats", "all permissions"),
            ("nats", "stored in files"),
            ("redis", "answers, Valkey"),
            ("redis", "append-only file"),
            ("clock", "NATS"),
            ("clock", "Redis"),
            ("receivers", plain, "named, plain", "connected"),
        ):
            assert _found(report, area, *parts)["status"] == "ok", (area, parts)
        assert _found(report, "clock", "the gateway")
        for error, part in (
            (f"{url} (untrusted)", "TlsError"),
            (f"http://127.0.0.1:{dead} (dead)", "ConnectionRefused"),
            (f"https://127.0.0.1:{dead} (registered)", "ConnectionRefused"),
            ("https://does-not-exist.invalid (unnamed)", "NameResolution"),
        ):
            assert _found(report, "receivers", error, part)["status"] == "error"
        soon = _found(report, "receivers", f"{url} (trusted)", "certificate ends on")
        assert soon["status"] == "warning"
        missing = _found(report, "secrets", "nobody_has_it is missing", "named")
        assert missing["status"] == "error"
        assert not [text for text in ("nobody_has_it", "token-in-path") if text in str(
            [each for each in report["findings"] if each["area"] in ("configuration", "receivers")]
        )]  # fmt: skip
        # As lines: nothing that controls a terminal, and what to do below each fault.
        printed = await command("doctor", *words)
        assert printed.status == 1
        assert "\x1b" not in printed.out
        assert "-> Start the receiver" in printed.out
        assert re.search(r" [5-9] errors, 0 skipped\s*$", printed.out)
        # Rules that refuse: of the file an error; where the file is not known only a warning.
        limited = tmp_path / "limited.yaml"
        limited.write_text(yaml.safe_dump({"delivery": {"allow_networks": []}}))
        body = {"name": "doctor", "scopes": ["webhooks:manage"]}
        key = (await client.http.post("/v1/keys", json=body)).json()["key"]
        environ = access(gateway) | {"EVENT_GATEWAY_KEY": key}
        strict = ("--data-dir", str(tmp_path / "none"), "--json")
        named = (await command("doctor", "-c", str(limited), *strict, **environ)).json
        assert _found(named, "receivers", plain, "EgressRefused")["status"] == "error"
        unnamed = (await command("doctor", *strict, **environ)).json
        assert _found(unnamed, "receivers", plain, "default rules")["status"] == "warning"
        # What its key may not read, and what is on another machine, it says.
        for area, part in (
            ("gateway", "health of all processes: the key may not read it"),
            ("gateway", "secrets of the API: the key may not read it"),
            ("nats", "no data directory"),
            ("redis", "no data directory"),
            ("disk", "no data directory"),
        ):
            assert _found(unnamed, area, part)["status"] == "skipped"
        wrong = access(gateway) | {"EVENT_GATEWAY_KEY": "egk_wrong"}
        refused = (await command("doctor", *strict, **wrong)).json
        assert _found(refused, "gateway", "does not accept the key")["status"] == "error"
    assert not requests


async def test_servers_with_faults(tmp_path: Path) -> None:
    users = (
        "authorization { users: [{ user: gw, password: pw, "
        'permissions: { publish: { deny: "%s" } } }] }'
    )

    async def report(settings: dict[str, Any]) -> dict[str, Any]:
        path = tmp_path / "gateway.yaml"
        path.write_text(yaml.safe_dump({"server": {"port": usable_port()}} | settings))
        result = await command("doctor", "-c", str(path), "--json", directory=tmp_path)
        assert (result.status, result.err) == (1, "")
        shown: dict[str, Any] = result.json
        assert _found(shown, "gateway", "cannot be reached")["status"] == "error"
        assert _found(shown, "gateway", "cannot be reached")["remedy"]
        assert _is_complete(shown["findings"])
        assert "pw" not in str(shown["findings"])
        return shown

    async with (
        secured_servers.nats(tmp_path, users % "eg.tally.*") as nats,
        secured_servers.valkey(tmp_path) as valkey,
    ):
        shown = await report({
            "nats": {"url": f"nats://gw:pw@127.0.0.1:{nats}"},
            "redis": {"url": f"redis://127.0.0.1:{valkey}"},
        })  # fmt: skip
        assert _found(shown, "nats", '"eg.tally.*"')["status"] == "warning"
        assert _found(shown, "nats", "no stream GATEWAY_EVENTS")["status"] == "warning"
        assert _found(shown, "redis", "no append-only file")["status"] == "warning"
    async with (
        secured_servers.nats(tmp_path, users % "eg.dead.*") as nats,
        secured_servers.valkey(tmp_path, "--maxmemory-policy", "allkeys-lru") as valkey,
    ):
        shown = await report({
            "nats": {"url": f"nats://gw:pw@127.0.0.1:{nats}"},
            "redis": {"url": f"redis://127.0.0.1:{valkey}"},
        })  # fmt: skip
        assert "permissions in NATS" in _found(shown, "nats", '"eg.dead.*"')["remedy"]
        assert "noeviction" in _found(shown, "redis", "allkeys-lru")["remedy"]
    invalid = tmp_path / "invalid.yaml"
    invalid.write_text("server: {prt: 1}\nstreams: 3\n")
    result = await command("doctor", "-c", str(invalid), "--json", directory=tmp_path)
    errors = [each for each in result.json["findings"] if each["area"] == "configuration"]
    assert (result.status, [each["status"] for each in errors]) == (1, ["error", "error"])
    assert "invalid.yaml:1: server.prt" in errors[0]["text"]


async def test_what_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(examination, "SERVERS", 0.5)
    monkeypatch.setattr(examination, "RECEIVERS", 0.5)
    # No receiver may be on the port of the gateway's own Redis.
    async with tcp_server(keep_silent) as port, tcp_server(keep_silent) as other:
        silent = f"127.0.0.1:{port}"
        path = tmp_path / "gateway.yaml"
        path.write_text(yaml.safe_dump(LOOPBACK | {"redis": {"url": f"redis://{silent}"}}))
        config = load(path, {}, transformation_rule=compile_definition, url_rule=url_rule)
        receiver = {
            "id": "w", "url": f"https://127.0.0.1:{other}/", "state": "active", "security": [],
            "tls": {"ca": None},
        }  # fmt: skip
        installation = Installation(
            config=config,
            config_given=True,
            data_dir=tmp_path,
            endpoints={"nats": f"nats://{silent}"},
            gateway=FoundGateway(f"http://{silent}", "key", None),
            webhooks=[receiver],
        )
        findings: list[Finding] = await examination.examine(installation)
    late = {finding.area for finding in findings if "no answer within" in finding.text}
    assert late == {"gateway", "nats", "redis", "receivers"}
