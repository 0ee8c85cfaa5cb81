"""Authorities of receivers: of one webhook, or of all, without a client certificate."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

from event_gateway.transport import tls_files
from event_gateway.transport.client import Failure, HttpClient, Response
from event_gateway.transport.egress_guard import EgressGuard
from event_gateway.transport.tls_files import Trust
from support.certificates import Authority
from support.client import Client, connected, event
from support.fixtures import Start
from support.in_process import check
from support.patience import PATIENCE
from support.program import Program
from support.scripted_server import OK, ScriptedServer
from support.sending import post


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_files, "CHECK_INTERVAL", 0.05)


def pem(*authorities: Authority) -> bytes:
    return b"".join(each.certificate.public_bytes(Encoding.PEM) for each in authorities)


async def _tried(client: Client, name: str) -> Any:
    return (await client.http.post(f"/v1/webhooks/{name}/test")).json()


async def _until(client: Client, name: str, expected: str | None) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await _tried(client, name))["error_type"] != expected:
            await asyncio.sleep(0.05)


async def test_a_webhook_has_authorities_of_its_own(
    start: Start, connect: Start, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path)
    (secrets / "ca.pem").write_bytes("Zertifikate für alle\n".encode() + pem(other, authority))
    (secrets / "other.pem").write_bytes(pem(other))
    client: Client = await connect(await start({"secrets": {"dir": str(secrets)}}))
    server = ScriptedServer([OK])
    async with server.running(authority.server()) as url:
        webhook = {"url": url, "events": ["a"]}
        own = await client.webhook(id="own", **webhook, tls={"ca": "ca.pem"})
        assert own["tls"] == {"ca": "ca.pem"}
        await client.webhook(id="other", **webhook, tls={"ca": "other.pem"})
        await client.webhook(id="none", **webhook)
        assert (await _tried(client, "own"))["succeeded"]
        # The open connection is not for those who trust others.
        for name in ("other", "none"):
            assert (await _tried(client, name))["error_type"] == "TlsError"
        assert (await _tried(client, "own"))["succeeded"]
        # Replaced: the next request needs another connection, however young the open one is.
        (secrets / "ca.pem").write_bytes(pem(other))
        await _until(client, "own", "TlsError")
        (secrets / "other.pem").write_bytes(pem(authority))
        await _until(client, "other", None)
        # While the file is unusable, deliveries use the former authorities.
        for content in (pem(authority), b"half"):
            (secrets / "other.pem").write_bytes(content)
            await asyncio.sleep(0.2)
            sent = event("a")
            await client.send(sent)
            done = await client.until("other", sent["id"], "succeeded")
            assert len(done["attempts"]) == 1
        changed = await client.http.patch("/v1/webhooks/other", json={"tls": {"ca": None}})
        assert (changed.status_code, changed.json()["tls"]) == (200, {"ca": None})
        assert (await _tried(client, "other"))["error_type"] == "TlsError"

    (secrets / "half.pem").write_bytes(pem(authority)[:300])
    (secrets / "damaged.pem").write_bytes(pem(authority) + pem(other).replace(b"MII", b"AAA", 1))
    (secrets / "big.pem").write_bytes(pem(authority) * 3000)
    mtls = {"auth_type": "mtls", "cert": "c.pem", "key": "c.pem", "ca": "ca.pem"}
    for ca, more, why in (
        ("none.pem", {}, "No such file"), (".", {}, "cannot be read"),
        ("half.pem", {}, "damaged"), ("damaged.pem", {}, "damaged"), ("big.pem", {}, "larger"),
        ("/etc/passwd", {}, "within secrets.dir"), ("a/../../x", {}, "within secrets.dir"),
        ("a\0b", {}, "printable"), ("a" * 3000, {}, "printable"),
        ("ca.pem", {"security": mtls}, "give it once"),
    ):  # fmt: skip
        answer = await client.http.post(
            "/v1/webhooks", json={"id": "w", **webhook, "tls": {"ca": ca}, **more}
        )
        assert (answer.status_code, why in answer.text) == (422, True), answer.text
        assert answer.json()["errors"][0]["key"].startswith("tls")


async def test_authorities_for_all_receivers(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path)
    (secrets / "all.pem").write_bytes(pem(authority))
    (secrets / "other.pem").write_bytes(pem(other))
    delivery = {"allow_networks": ["127.0.0.0/8"]}
    config = {"secrets": {"dir": str(secrets)}, "delivery": delivery | {"ca": "all.pem"}}
    program = Program(tmp_path, config)
    at = await program.start()
    try:
        async with (
            connected(at["http"], at["nats"], at["key"]) as client,
            ScriptedServer([OK]).running(authority.server()) as url,
        ):
            await client.webhook(id="all", url=url, events=["a"])
            await client.webhook(id="own", url=url, events=["a"], tls={"ca": "other.pem"})
            assert (await _tried(client, "all"))["succeeded"]
            assert (await _tried(client, "own"))["error_type"] == "TlsError"
            # The file can be another one, or none, after a reload.
            for ca, expected in (("other.pem", "TlsError"), ("all.pem", None), (None, "TlsError")):
                changed = config | {"delivery": delivery | ({"ca": ca} if ca else {})}
                await program.reload(changed, "configuration reloaded")
                assert (await _tried(client, "all"))["error_type"] == expected
            refused = config | {"delivery": delivery | {"ca": "none.pem"}}
            assert "none.pem cannot be read" in await program.reload(refused, "not reloaded")
    finally:
        await program.stop()


async def test_replaced_authorities_are_used_and_the_system_stays_trusted(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path)
    file = tmp_path / "all.pem"
    file.write_bytes(pem(authority))
    trust = Trust(file)
    assert trust.identity() is not None
    system = len(ssl.create_default_context().get_ca_certs())
    assert len(trust.identity().context.get_ca_certs()) == system + 1  # type: ignore[union-attr]
    sender = HttpClient(EgressGuard(["127.0.0.0/8"]), trust=trust)
    server = ScriptedServer([OK])
    async with server.running(authority.server()) as url:
        for _ in range(2):
            assert isinstance(await post(sender, url), Response)
        assert server.connections == 1
        file.write_bytes(pem(other))
        async with asyncio.timeout(PATIENCE):
            while not isinstance(result := await post(sender, url), Failure):
                await asyncio.sleep(0.05)
        assert result.error_type == "TlsError"
        file.write_bytes(b"half")
        await asyncio.sleep(0.1)
        assert isinstance(await post(sender, url), Failure)
        with pytest.raises(ValueError, match="holds no certificate"):
            trust.use(file)
        file.write_bytes(pem(other, authority))
        async with asyncio.timeout(PATIENCE):
            while not isinstance(await post(sender, url), Response):
                await asyncio.sleep(0.05)
    await sender.close()
    trust.use(None)
    assert trust.identity() is None


def test_unusable_authorities_in_the_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    path = tmp_path / "gateway.yaml"
    webhook = {"url": "https://example.com/", "events": ["a.b"], "tls": {"ca": "text.pem"}}
    path.write_text(yaml.safe_dump({
        "secrets": {"dir": str(tmp_path)}, "delivery": {"ca": "none.pem"},
        "webhooks": {"w": webhook},
    }))  # fmt: skip
    done = check(path)
    assert done.status == 2
    assert "delivery.ca: " in done.err
    assert "none.pem cannot be read: No such file" in done.err
    assert "webhooks.w.tls.ca: " in done.err
    assert "text.pem: holds no certificate in PEM" in done.err
