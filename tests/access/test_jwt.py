"""Tokens of issuers, whose keys the gateway fetches over real HTTP."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import httpx
import pytest
import websockets
from msgspec.structs import replace
from structlog.testing import capture_logs

from event_gateway.api.access import issuer_keys, key_sources
from event_gateway.api.access.authenticator import Unauthenticated
from event_gateway.api.access.caller_request import CallerRequest
from event_gateway.api.access.issuer_keys import IssuerKeys
from event_gateway.api.access.jwt_tokens import JwtTokens
from event_gateway.api.access.key_sources import key_source
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.api.server.problems import Problem
from event_gateway.config.jwt_model import IssuerModel
from event_gateway.core.access.issuer import Issuer
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.verification_keys import VerificationKeys
from event_gateway.transport.client import HttpClient
from event_gateway.transport.document import MAX_BODY, lifetime_of
from event_gateway.transport.egress_guard import EgressGuard
from support.client import STRUCTURED, event
from support.fixtures import Start
from support.issuers import (
    StubIssuer,
    claims_of,
    jwk_set,
    public,
    rsa_key,
    running_issuer,
    signed,
    signed_by_secret,
)
from support.patience import PATIENCE


async def _no_body() -> bytes:
    return b""


def _request(token: str) -> CallerRequest:
    scope = {
        "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", PEER: Peer(),
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }  # fmt: skip
    return CallerRequest(scope, _no_body)


async def asked(jwt: JwtTokens, token: str) -> Principal | None:
    """The holder of a token."""
    found = jwt.authenticate(_request(token))
    return await found if isinstance(found, Awaitable) else found


class Door:
    """The method alone, with an issuer on the loopback interface. ``counts``: its requests for
    keys, by whether they gave keys."""

    def __init__(self, http: HttpClient, **settings: Any) -> None:
        self.counts = {True: 0, False: 0}
        self.made: list[IssuerKeys] = []
        self.settings = settings
        self.jwt = JwtTokens(lambda issuer: self._source(issuer, http), self._count)

    def _source(self, issuer: Issuer, http: HttpClient) -> key_sources.Fetch:
        return key_source(issuer, http, lambda names: VerificationKeys(), lambda name: ())

    def _count(self, _issuer: str, succeeded: bool) -> None:
        self.counts[succeeded] += 1

    def trust(self, *issuers: StubIssuer, **settings: Any) -> None:
        models = [
            IssuerModel(issuer=issuer.url, audience=["event-gateway"], **settings)
            for issuer in issuers
        ]
        self.jwt.configure([model.settings() for model in models])

    async def name(self, token: str) -> str:
        principal = await asked(self.jwt, token)
        assert principal is not None
        assert self.jwt.still_valid(principal)
        return principal.name

    async def refused(self, token: str) -> str:
        with pytest.raises(Unauthenticated) as error:
            await asked(self.jwt, token)
        return str(error.value)


@contextlib.asynccontextmanager
async def opened_door() -> AsyncIterator[Door]:
    http = HttpClient(EgressGuard(["127.0.0.0/8"]), body_limit=MAX_BODY, max_idle=0)
    try:
        yield Door(http)
    finally:
        await http.close()


async def test_keys_are_fetched_once_renewed_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "UNKNOWN_KEY_INTERVAL", 3600.0)
    async with running_issuer() as issuer, opened_door() as door:
        door.trust(issuer)
        token = issuer.token("k1")
        # Many callers wait for one request; the keys then serve without another one.
        issuer.free.clear()
        names = [asyncio.create_task(door.name(token)) for _ in range(20)]
        async with asyncio.timeout(PATIENCE):
            while not issuer.requests:
                await asyncio.sleep(0.005)
        issuer.free.set()
        assert set(await asyncio.gather(*names)) == {"service-1"}
        assert issuer.requests == ["/.well-known/openid-configuration", "/keys"]
        principal = await asked(door.jwt, token)
        assert principal is await asked(door.jwt, token)  # known by now
        # A new key: its first token has the keys fetched again, unless that was done just now.
        issuer.keys["k2"] = rsa_key(1)
        assert await door.refused(issuer.token("k2")) == "the token is not valid"
        assert len(issuer.requests) == 2
        monkeypatch.setattr(issuer_keys, "UNKNOWN_KEY_INTERVAL", 0.0)
        assert await door.name(issuer.token("k2")) == "service-1"
        assert len(issuer.requests) == 4
        # The former key is withdrawn: its tokens are refused, and its connections closed.
        assert principal is not None
        assert door.jwt.still_valid(principal)
        del issuer.keys["k1"]
        issuer.keys["k3"] = rsa_key(3)
        assert await door.name(issuer.token("k3"))
        assert not door.jwt.still_valid(principal)
        assert await door.refused(token) == "the token is not valid"
        # While the issuer is away its keys stay, and the health says so.
        issuer.status = 500
        assert door.jwt.reasons == []
        issuer.keys["k4"] = rsa_key(4)
        assert await door.refused(issuer.token("k4")) == "the token is not valid"
        assert await door.name(issuer.token("k3"))
        assert "its former keys are used" in door.jwt.reasons[0].text
        assert door.counts[False] == 1
        issuer.status = 200
        assert await door.name(issuer.token("k4"))
        assert door.jwt.reasons == []


async def test_keys_that_cannot_be_fetched_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_keys, "UNKNOWN_KEY_INTERVAL", 0.0)
    async with running_issuer() as issuer, opened_door() as door:
        door.trust(issuer)
        issuer.status = 503
        with pytest.raises(Problem) as unavailable:
            await asked(door.jwt, issuer.token("k1"))
        assert unavailable.value.status == 503
        assert "tokens are refused" in door.jwt.reasons[0].text
        issuer.status = 200
        model = IssuerModel(issuer=issuer.url, audience=["event-gateway"])
        door.jwt.configure([replace(model.settings(), keep_keys=0.0)])
        token = issuer.token("k1")
        assert await door.name(token)
        issuer.status = 503
        other = signed(rsa_key(1), "RS256", claims_of(issuer.url), kid="k2")
        for given in (other, token):  # the former keys are too old: they are not used any more
            with pytest.raises(Problem):
                await asked(door.jwt, given)


async def test_issuers_come_and_go() -> None:
    async with running_issuer() as first, running_issuer() as other, opened_door() as door:
        other.keys = {"k1": rsa_key(1)}
        assert await asked(door.jwt, first.token("k1")) is None
        door.trust(first, other)
        renewing = asyncio.create_task(door.jwt.renew_keys())
        try:
            assert await door.name(first.token("k1"))
            principal = await asked(door.jwt, other.token("k1"))
            assert principal is not None
            # The key of one issuer says nothing of tokens of another one.
            crossed = signed(first.keys["k1"], "RS256", claims_of(other.url), kid="k1")
            assert await door.refused(crossed) == "the token is not valid"
            assert await door.refused(signed(rsa_key(), "RS256", claims_of("https://x.example")))
            expired = first.token("k1", exp=int(time.time()) - 61)
            assert await door.refused(expired) == "the token has expired"
            door.trust(first)
            assert not door.jwt.still_valid(principal)
            assert await door.refused(other.token("k1"))
            before = len(first.requests)
            door.trust(first)
            assert await door.name(first.token("k1"))
            assert len(first.requests) == before  # an issuer that is as before keeps its keys
        finally:
            renewing.cancel()


@pytest.mark.parametrize(
    ("changes", "settings", "why"),
    [
        ({"status": 302, "headers": {"location": "http://127.0.0.1:1/keys"}}, {}, "redirects"),
        ({"status": 404}, {}, "404"), ({"body": b"<html>"}, {}, "JWK set"),
        ({"body": b'{"keys": 5}'}, {}, "JWK set"), ({"body": b" " * 300_000}, {}, "bytes"),
        ({"headers": {"content-encoding": "gzip"}}, {}, "compressed"),
        ({"discovery": {"issuer": "https://evil.example"}}, {}, "another issuer"),
        ({"discovery": {"jwks_uri": 5}}, {}, "jwks_uri"),
        ({"discovery": {"jwks_uri": "file:///etc/passwd"}}, {}, "https"),
        ({"discovery": {"jwks_uri": "http://169.254.169.254/keys"}}, {}, "EgressRefused"),
        ({"discovery": {"jwks_uri": "http://10.0.0.1/keys"}}, {}, "auth.allow_networks"),
        ({}, {"jwks_url": "http://192.168.1.1/keys"}, "EgressRefused"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
async def test_answers_that_are_no_keys(
    changes: dict[str, Any], settings: dict[str, Any], why: str
) -> None:
    async with running_issuer() as issuer, opened_door() as door:
        for name, value in changes.items():
            setattr(issuer, name, value)
        door.trust(issuer, **settings)
        with capture_logs() as logged, pytest.raises(Problem):
            await asked(door.jwt, issuer.token("k1"))
        assert door.counts == {True: 0, False: 1}
        assert why in logged[0]["reason"]


def test_how_long_keys_are_current() -> None:
    for control, age, seconds in (
        ("", "", 3600), ("max-age=600", "", 600), ("public, max-age=7200, x", "", 7200),
        ("max-age=7200", "3600", 3600), ("max-age=5", "", 300), ("max-age=999999999", "", 86400),
        ("no-store", "", 300), ("no-cache", "", 300), ("max-age=x", "y", 3600),
        ("s-maxage=5", "", 3600), ("max-age=600", "-5", 600),
    ):  # fmt: skip
        assert lifetime_of({"cache-control": control, "age": age}) == seconds, control


async def test_a_gateway_with_an_issuer(start: Start) -> None:
    async with running_issuer() as issuer:
        issuer.keys["k9"] = rsa_key(2, 1024)  # too short: left out
        auth = {
            "jwt": [{
                "issuer": issuer.url, "audience": ["event-gateway", "other"],
                "scopes": {"claim": "realm_access.roles",
                           "map": {"writer": ["events:publish"], "ops": ["admin"],
                                   "reader": ["streams:read"]}},
                "namespaces": {"claim": "tenants", "map": {"all": ["*"], "shop": ["shop"]}},
                "name": {"claim": "email"},
            }],
            "allow_networks": ["127.0.0.0/8"],
        }  # fmt: skip
        gateway = await start({"auth": auth, "streams": {"all": {"subjects": ["shop.>"]}}})
        url = gateway.http_url

        def token(role: str, tenants: str = "all", **claims: Any) -> str:
            return issuer.token("k1", realm_access={"roles": [role, "x"]}, tenants=[tenants],
                                email="ada@shop.example", **claims)  # fmt: skip

        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:

            async def call(text: str, path: str = "/v1/webhooks", **more: Any) -> httpx.Response:
                method = "POST" if more else "GET"
                headers = {"Authorization": f"Bearer {text}", **STRUCTURED}
                return await http.request(method, path, headers=headers, **more)

            assert (await call(token("ops"))).status_code == 200
            sent = json.dumps(event("shop.sold", {"namespace": "shop"}))
            assert (await call(token("writer"), "/v1/events", content=sent)).status_code == 202
            answer = await call(token("writer"))
            assert answer.status_code == 403
            challenge = answer.headers["www-authenticate"]
            assert challenge == 'Bearer error="insufficient_scope", scope="webhooks:read"'
            assert (await call(token("nobody"), "/v1/events", content=sent)).status_code == 403
            for wrong, told in (
                (token("ops", aud="x"), "the token is not valid"),
                (token("ops", exp=5), "the token has expired"),
                (token("ops", iss="https://x.example"), "the token is not valid"),
                (signed(issuer.keys["k9"], "RS256", claims_of(issuer.url), kid="k9"),
                 "the token is not valid"),
                ("eyJ.eyJ.x" + "x" * 17_000, "the token is not valid"),
            ):  # fmt: skip
                answer = await call(wrong)
                assert answer.status_code == 401
                assert answer.json()["detail"] == told
                expected = f'Bearer error="invalid_token", error_description="{told}"'
                assert answer.headers["www-authenticate"] == expected
                assert issuer.url not in answer.text
            answer = await http.get("/v1/webhooks")
            assert answer.headers["www-authenticate"] == "Bearer"  # without a token, no error
            assert (await call(gateway.admin_key)).status_code == 200
            metrics = (await call(gateway.admin_key, "/metrics")).text
            assert (
                f'issuer_key_fetches_total{{issuer="{issuer.url}",outcome="succeeded"}}' in metrics
            )
            assert issuer.url not in (await http.get("/readyz")).text

            # WebSocket and Server-Sent Events.
            headers = {"Authorization": f"Bearer {token('reader')}"}
            ws = url.replace("http", "ws", 1) + "/v1/ws"
            async with websockets.connect(ws, additional_headers=headers) as socket:
                await socket.send(json.dumps({"action": "subscribe", "ref": "1", "stream": "all"}))
                assert json.loads(await socket.recv())["type"] == "subscribed"
                listed = (await call(token("ops"), "/v1/subscriptions")).json()["items"]
                assert listed[0]["principal"] == "ada@shop.example"
            for role, code in (("writer", 4403), ("reader", 4401)):
                claims: dict[str, Any] = {} if role == "writer" else {"exp": 5}
                headers = {"Authorization": f"Bearer {token(role, **claims)}"}
                async with websockets.connect(ws, additional_headers=headers) as socket:
                    with pytest.raises(websockets.ConnectionClosed) as closed:
                        await socket.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == code
            headers = {"Authorization": f"Bearer {token('reader')}"}
            async with http.stream("GET", "/v1/streams/all/sse", headers=headers) as stream:
                assert stream.status_code == 200
            headers = {"Authorization": f"Bearer {token('writer')}"}
            assert (await http.get("/v1/streams/all/sse", headers=headers)).status_code == 403


async def test_files_and_secrets(start: Start, tmp_path: Any) -> None:
    (tmp_path / "secrets").mkdir()
    keys = tmp_path / "secrets" / "issuer.json"
    keys.write_bytes(jwk_set(public(rsa_key(), kid="a")))
    secret = "s" * 40
    (tmp_path / "secrets" / "shared").write_text(secret)
    issuers = [
        {"issuer": "files", "audience": "event-gateway", "keys": "issuer.json"},
        {"issuer": "shared", "audience": "event-gateway", "secret_name": "shared"},
        {"issuer": "missing", "audience": "event-gateway", "secret_name": "nowhere"},
    ]
    gateway = await start({"auth": {"jwt": issuers}, "secrets": {"dir": str(tmp_path / "secrets")}})
    async with httpx.AsyncClient(base_url=gateway.http_url, timeout=PATIENCE) as http:

        async def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return (await http.get("/v1/webhooks", headers=headers)).status_code

        claims = claims_of("files", scope="admin")
        assert await status(signed(rsa_key(), "RS256", claims, kid="a")) == 200
        assert (
            await status(signed_by_secret(secret, "HS256", claims_of("shared", scope="admin")))
            == 200
        )
        assert (
            await status(signed_by_secret(secret, "HS512", claims_of("shared", scope="admin")))
            == 401
        )
        assert await status(signed_by_secret(secret, "HS256", claims)) == 401
        pem = rsa_key().as_pem(private=False).decode()
        assert await status(signed_by_secret(pem, "HS256", claims, kid="a")) == 401
        assert await status(signed_by_secret(secret, "HS256", claims_of("missing"))) == 503
        reason = "the keys of the issuer missing cannot be fetched: its tokens are refused"
        async with asyncio.timeout(PATIENCE):
            while reason not in (await http.get("/readyz")).json()["reasons"]:
                await asyncio.sleep(0.05)
        # A changed file is used without a reload.
        keys.write_bytes(jwk_set(public(rsa_key(1), kid="b")))
        async with asyncio.timeout(PATIENCE):
            while await status(signed(rsa_key(1), "RS256", claims, kid="b")) != 200:
                await asyncio.sleep(0.1)
        assert await status(signed(rsa_key(), "RS256", claims, kid="a")) == 401
