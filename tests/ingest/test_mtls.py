"""Callers that prove themselves by a client certificate: to the gateway, or to a proxy."""

import asyncio
import ssl
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import websockets
from cryptography import x509

from event_gateway.api.access.mtls import ClientCertificates
from event_gateway.api.http import server_tls
from event_gateway.api.live import connections
from event_gateway.cli.process.serve import Running
from event_gateway.core.access.principal import Principal
from support.certificates import IssuedFiles
from support.client import event
from support.fixtures import Start
from support.patience import PATIENCE

STRUCTURED = {"content-type": "application/cloudevents+json"}
RULES = [
    {"subject": "CN=alice", "name": "alice", "scopes": ["events:publish"]},
    {"uri": "spiffe://test/sa/*", "name": "reader", "scopes": ["streams:read", "webhooks:manage"]},
]


def _client(gateway: Running, verify: ssl.SSLContext | bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=gateway.http_url, verify=verify, timeout=PATIENCE)


async def _publish(http: httpx.AsyncClient, **headers: str) -> tuple[int, str]:
    """Status and detail of the answer to an event."""
    answer = await http.post("/v1/events", json=event("user.a"), headers=STRUCTURED | headers)
    return answer.status_code, answer.json().get("detail", "")


@pytest.fixture
def fast_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_tls, "CHECK_INTERVAL", 0.05)
    monkeypatch.setattr(connections, "ACCESS_INTERVAL", 0.05)


async def test_a_certificate_is_what_a_rule_says_of_it(
    start: Start, issued: IssuedFiles, fast_checks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued.issue("bob", x509.UniformResourceIdentifier("spiffe://test/sa/bob"))
    issued.issue("carol", x509.UniformResourceIdentifier("spiffe://test/sa/x/carol"))
    issued.revoke()
    tls = {
        "cert": "server.pem", "key": "server.key", "client_ca": "ca.pem", "client_crl": "crl.pem",
    }  # fmt: skip
    gateway = await start({
        "secrets": {"dir": str(issued.directory)}, "auth": {"mtls": RULES},
        "server": {"tls": tls, "trusted_proxies": ["10.0.0.0/8"],
                   "cors": {"origins": ["https://app.test"]}, "forwarded_client_certificate": True},
    })  # fmt: skip
    async with (
        _client(gateway, issued.client("alice")) as alice,
        _client(gateway, issued.client("bob")) as bob,
        _client(gateway, issued.client("carol")) as carol,
        _client(gateway, issued.client()) as nobody,
        websockets.connect(
            gateway.http_url.replace("https", "wss") + "/v1/ws", ssl=issued.client("bob")
        ) as socket,
    ):
        await socket.send('{"action": "ping"}')
        assert "pong" in str(await asyncio.wait_for(socket.recv(), PATIENCE))
        assert await _publish(alice) == (202, "")
        answer = await alice.get("/v1/webhooks")
        assert answer.status_code == 403
        assert "webhooks:read" in answer.json()["detail"]
        assert (await bob.get("/v1/webhooks")).status_code == 200
        assert (await _publish(bob))[0] == 403
        assert "no rule of auth.mtls fits" in (await _publish(carol))[1]
        assert (await _publish(nobody))[0] == 401
        # A key in the request goes before the certificate, also a wrong one.
        key = {"authorization": f"Bearer {gateway.admin_key}"}
        assert (await carol.get("/v1/webhooks", headers=key)).status_code == 200
        assert (await _publish(alice, authorization="Bearer wrong"))[0] == 401
        # What a client says of a certificate counts for nothing.
        forged = {"x-forwarded-client-cert": 'Subject="CN=alice"', "x-forwarded-for": "10.0.0.1"}
        assert (await _publish(nobody, **forged))[0] == 401
        assert (await _publish(carol, **forged))[0] == 401
        # A browser adds the certificate to the requests of any page.
        foreign = await _publish(alice, origin="https://evil.test")
        assert foreign == (401, "pages of other origins cannot use a certificate of the browser")
        assert (await _publish(alice, **{"sec-fetch-site": "cross-site"}))[0] == 401
        assert (await _publish(alice, origin=gateway.http_url))[0] == 202
        assert (await _publish(alice, origin="https://app.test"))[0] == 202
        # Revoked: also on the connection that is open.
        issued.revoke(issued.directory / "alice.pem")
        async with asyncio.timeout(PATIENCE):
            while (revoked := await _publish(alice))[0] == 202:
                await asyncio.sleep(0.05)
        assert revoked == (401, "the client certificate is revoked")
        assert (await bob.get("/v1/webhooks")).status_code == 200
        async with _client(gateway, issued.client("alice")) as again:
            with pytest.raises((httpx.HTTPError, ssl.SSLError)):
                await _publish(again)
        # A reload with the same rules, and what became of alice, are nothing to bob.
        certificates = gateway.gateway.api.certificates
        certificates.configure(certificates._rules)
        checks: list[bool] = []

        def still_valid(principal: Principal) -> bool:
            checks.append(ClientCertificates.still_valid(certificates, principal))
            return checks[-1]

        monkeypatch.setattr(certificates, "still_valid", still_valid)
        async with asyncio.timeout(PATIENCE):
            while not checks:
                await asyncio.sleep(0.02)
        assert checks[0]
        await socket.send('{"action": "ping"}')
        assert "pong" in str(await asyncio.wait_for(socket.recv(), PATIENCE))
        # Another authority in place of the former one.
        other = IssuedFiles(issued.directory / "other", "other")
        other.revoke().replace(issued.directory / "crl.pem")
        other.ca.replace(issued.ca)
        async with asyncio.timeout(PATIENCE):
            while (answer := await bob.get("/v1/webhooks")).status_code == 200:
                await asyncio.sleep(0.05)
        assert "is not trusted any more" in answer.json()["detail"]
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert socket.close_code == 4401


async def test_a_certificate_that_is_required_and_a_rule_that_is_taken_away(
    start: Start, issued: IssuedFiles
) -> None:
    tls = {"cert": "server.pem", "key": "server.key", "client_ca": "ca.pem",
           "client_certificate": "required"}  # fmt: skip
    gateway = await start({
        "secrets": {"dir": str(issued.directory)}, "auth": {"mtls": RULES}, "server": {"tls": tls},
    })  # fmt: skip
    async with _client(gateway, issued.client()) as nobody:
        with pytest.raises((httpx.HTTPError, ssl.SSLError)):
            await nobody.get("/healthz")
    method = gateway.gateway.api.certificates
    # The private key in the folder of secrets is no secret that a webhook can name.
    secrets = gateway.gateway.stages.requests.secrets
    assert secrets.find("alice.key")
    assert not secrets.find("server.key")
    async with _client(gateway, issued.client("alice")) as alice:
        assert (await alice.get("/healthz")).status_code == 200
        assert await _publish(alice) == (202, "")
        (principal,) = [found for found in method._principals.values() if found is not None]
        assert (principal.name, principal.method) == ("alice", "mtls")
        assert principal.expires_at is not None
        assert method.still_valid(principal)
        method.configure([])
        assert not method.still_valid(principal)
        assert (await _publish(alice))[0] == 401


async def test_a_proxy_tells_which_certificate_was_shown(start: Start, issued: IssuedFiles) -> None:
    config: dict[str, Any] = {"auth": {"mtls": RULES}, "server": {
        "trusted_proxies": ["127.0.0.0/8"], "forwarded_client_certificate": True,
    }}  # fmt: skip
    gateway = await start(config)
    pem = quote((issued.directory / "alice.pem").read_text(), safe="")
    subject = x509.Name.from_rfc4514_string("CN=alice")
    expired = quote(issued.issue("old", days=-1, subject=subject)[0].read_text(), safe="")
    async with _client(gateway, False) as proxy:
        for shown, status in (
            (f'Hash=ab;Cert="{pem}";Subject="CN=alice"', 202),
            ('By=spiffe://me;Hash=ab;Subject="CN=alice";URI=', 202),
            ('Subject="CN=alice",Subject="CN=bob"', 401),
            ('Subject="CN=bob",Subject="CN=alice"', 202),
            (f'Cert="{expired}"', 401),
            ('Subject="CN=alice', 401),
            ("Cert=nonsense", 401),
            ("", 401),
        ):
            assert (await _publish(proxy, **{"x-forwarded-client-cert": shown}))[0] == status, shown
        assert (await _publish(proxy))[0] == 401
        # The address of the client is the one that the proxy has appended.
        refused = await proxy.get(
            "/v1/webhooks", headers={"x-forwarded-for": "6.6.6.6, 2001:db8::9", "x-api-key": "no"}
        )
        assert refused.status_code == 401
        key = {"x-api-key": gateway.admin_key}
        # Records are written after the answers, and the refused requests before it have some, too.
        async with asyncio.timeout(PATIENCE):
            while True:
                records = (await proxy.get("/v1/audit-log", headers=key)).json()["items"]
                if any(record["client"] == "2001:db8::9" for record in records):
                    break
                await asyncio.sleep(0.05)
