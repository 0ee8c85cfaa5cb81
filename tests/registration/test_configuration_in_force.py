"""``GET /v1/config`` and ``event-gateway config show``: the configuration in force, no secrets."""

from pathlib import Path

import httpx

from event_gateway.cli.process.serve import Running
from event_gateway.config.redacted_config import HIDDEN, given_keys, settings_of
from support.client import Client
from support.configuration import loaded
from support.fixtures import Command
from support.patience import PATIENCE

FILE = """
nats: {url: "nats://ada:nats-pw@bus:4222,nats://ada:nats-pw@bus2:4222"}
redis: {url: "rediss://store:6379?password=redis-pw"}
delivery: {proxy: {url: "http://me:proxy-pw@proxy:3128"}, keep_records: 36h}
telemetry: {otlp: {endpoint: "http://localhost:4318", headers: {X-Key: otlp-pw}}}
auth: {hmac: {shop: {secret_name: shop_key, scopes: ["events:publish"]}}}
server: {max_body: 1500000}
webhooks: {crm: {url: "https://crm.example.com/", events: [a], headers: {X-Key: hook-pw}}}
"""


def test_what_may_be_a_credential_is_hidden(tmp_path: Path) -> None:
    config = loaded(FILE, tmp_path, EVENT_GATEWAY__SERVER__PORT="9000")
    settings = settings_of(config)
    assert "-pw" not in str(settings)
    assert settings["nats"]["url"] == "nats://bus:4222,nats://bus2:4222"
    assert settings["redis"]["url"] == "rediss://store:6379"
    assert settings["delivery"]["proxy"]["url"] == "http://proxy:3128"
    assert settings["telemetry"]["otlp"]["headers"] == {"X-Key": HIDDEN}
    assert settings["auth"]["hmac"]["shop"]["secret_name"] == "shop_key"
    password = loaded('nats: {url: "nats://bus", user: ada, password: nats-pw}', tmp_path)
    assert settings_of(password)["nats"]["password"] == HIDDEN
    assert settings_of(password)["nats"]["token"] is None


def test_values_have_the_form_of_the_file(tmp_path: Path) -> None:
    config = loaded(FILE, tmp_path, EVENT_GATEWAY__SERVER__PORT="9000")
    settings = settings_of(config)
    assert settings["delivery"]["keep_records"] == "1d12h"
    assert settings["server"] | {"port": 9000, "max_body": "1500000"} == settings["server"]
    assert settings["server"]["subscribers"]["max_frame"] == "64KiB"
    assert {"webhooks", "streams"}.isdisjoint(settings)
    assert given_keys(config) == [
        "auth.hmac", "delivery.keep_records", "delivery.proxy.url", "nats.url", "redis.url",
        "server.max_body", "server.port", "telemetry.otlp.endpoint", "telemetry.otlp.headers",
    ]  # fmt: skip


async def test_an_operator_reads_the_configuration_in_force(
    gateway: Running, client: Client, run: Command
) -> None:
    answer = (await client.http.get("/v1/config")).json()
    assert answer["settings"]["ingest"]["retention"] == "7d"
    assert "server.drain_timeout" in answer["given"]
    shown = await run("config", "show")
    lines = {line.split()[0]: line.split() for line in shown.out.splitlines() if line}
    assert lines["ingest.retention"] == ["ingest.retention", "7d"]
    for key in answer["given"]:
        assert lines[key][-1] == "yes", key

    key = {"name": "k", "scopes": ["admin"], "namespaces": ["customer"]}
    made = (await client.http.post("/v1/keys", json=key)).json()
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as other:
        for headers, status in (({}, 401), ({"X-API-Key": made["key"]}, 403)):
            assert (await other.get("/v1/config", headers=headers)).status_code == status


async def test_a_reload_changes_what_is_in_force(
    gateway: Running, client: Client, tmp_path: Path
) -> None:
    before = (await client.http.get("/v1/config")).json()
    assert (before["webhooks"], before["settings"]["catalog"]["strict"]) == ([], False)
    changed = loaded(
        'catalog: {strict: true}\nwebhooks: {crm: {url: "https://crm.example.com/", events: [a]}}',
        tmp_path,
    )
    await gateway.gateway.reload(changed, force=True)
    after = (await client.http.get("/v1/config")).json()
    assert (after["webhooks"], after["settings"]["catalog"]["strict"]) == (["crm"], True)
    assert after["given"] == ["catalog.strict"]
    assert after["in_force_since"] > before["in_force_since"]
