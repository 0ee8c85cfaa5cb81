"""Signing in with a provider of OpenID Connect: a real one over HTTP, and wrong answers."""

import asyncio
import base64
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, Router

from support.console import gateway_with_console
from support.issuers import claims_of, jwk_set, public, rsa_key, signed
from support.patience import PATIENCE
from support.receiver import serving

KEY = rsa_key()
LEEWAY = 60  # seconds for which the gateway takes a token longer than it says
SHORT = 20 - LEEWAY


@dataclass
class Provider:
    """Signs in whoever comes. ``changed``: claims of its ID tokens that are not as they should;
    ``lifetimes``: seconds of its access tokens, the last one for all further; ``refreshes``: the
    tokens for new ones that were given, each of which is taken once; ``revoked``: those that were
    given back."""

    url: str = ""
    lifetimes: list[int] = field(default_factory=list)
    refreshes: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    changed: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Router:
        """Its application."""
        return Router([
            Route("/.well-known/openid-configuration", self._document),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/revoke", self._revoke, methods=["POST"]),
        ])  # fmt: skip

    async def _document(self, request: Request) -> Response:
        return JSONResponse({
            "issuer": self.url, "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "revocation_endpoint": f"{self.url}/revoke",
        })  # fmt: skip

    async def _keys(self, request: Request) -> Response:
        return Response(jwk_set(public(KEY, kid="k1", use="sig")))

    async def _authorize(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        return RedirectResponse(
            f"{self.asked['redirect_uri']}?code=c1&state={self.asked['state']}", 303
        )

    async def _revoke(self, request: Request) -> Response:
        self.revoked += parse_qs((await request.body()).decode())["token"]
        return Response()

    async def _token(self, request: Request) -> Response:
        form = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
        if form["grant_type"] == "refresh_token":
            if form["refresh_token"] != self.refreshes[-1]:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(self._access())
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        basic = base64.b64encode(b"console:s3cret").decode()
        if (
            form["code"] != "c1"
            or challenge != self.asked["code_challenge"]
            or form["redirect_uri"] != self.asked["redirect_uri"]
            or request.headers["authorization"] != f"Basic {basic}"
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        identity = {"aud": "console", "nonce": self.asked["nonce"]} | self.changed
        return JSONResponse(self._access() | {"id_token": self._signed(**identity)})

    def _access(self) -> dict[str, Any]:
        """An access token, and the token for the next one where it has a lifetime."""
        if not self.lifetimes:
            return {"access_token": self._signed(scope="webhooks:read", sub="ada")}
        lifetime = self.lifetimes.pop(0) if len(self.lifetimes) > 1 else self.lifetimes[0]
        self.refreshes.append(f"refresh-{len(self.refreshes)}")
        token = self._signed(scope="webhooks:read", sub="ada", exp=int(time.time()) + lifetime)
        return {"access_token": token, "refresh_token": self.refreshes[-1]}

    def _signed(self, **claims: Any) -> str:
        return signed(KEY, "RS256", claims_of(self.url, **claims), kid="k1")


@contextlib.asynccontextmanager
async def _provider() -> AsyncIterator[Provider]:
    provider = Provider()
    async with serving(provider.app()) as provider.url:
        yield provider


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "console_client").write_text("s3cret")
    return folder


def _config(provider: Provider, secret: Path) -> dict[str, Any]:
    return {
        "secrets": {"dir": str(secret)},
        "auth": {
            "jwt": [{"issuer": provider.url, "audience": "event-gateway", "leeway": f"{LEEWAY}s"}]
        },
        "console": {"oidc": {"issuer": provider.url, "client_id": "console",
                             "secret_name": "console_client"}},
    }  # fmt: skip


async def test_signing_in_with_a_provider(tmp_path: Path, secret: Path) -> None:
    async with (
        _provider() as provider,
        gateway_with_console(tmp_path, _config(provider, secret)) as console,
    ):
        async with httpx.AsyncClient(
            base_url=console.url, follow_redirects=True, timeout=PATIENCE
        ) as http:
            page = await http.get("/sign-in")
            assert f"Sign in with {urlsplit(provider.url).netloc}" in page.text
            page = await http.get("/sign-in/oidc", params={"next": "/webhooks"})
            assert page.url.path == "/webhooks"
            assert "There is no webhook yet." in page.text
            assert "ada" in page.text
            assert provider.asked["scope"] == "openid"
            assert provider.asked["code_challenge_method"] == "S256"

        for changed in ({"nonce": "other"}, {"aud": "other"}, {"iss": "https://other.example"}):
            provider.changed = changed
            async with httpx.AsyncClient(
                base_url=console.url, follow_redirects=True, timeout=PATIENCE
            ) as http:
                page = await http.get("/sign-in/oidc")
                assert page.status_code == 403, changed
                assert "not for this sign-in" in page.text
        provider.changed = {}
        async with httpx.AsyncClient(base_url=console.url, timeout=PATIENCE) as http:
            # An answer that this browser has not asked for.
            page = await http.get("/sign-in/oidc/callback?code=c1&state=x")
            assert page.status_code == 403
            assert "was not begun here" in page.text
            begun = await http.get("/sign-in/oidc")
            state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
            page = await http.get(
                "/sign-in/oidc/callback", params={"state": state, "error": "access_denied"}
            )
            assert "The provider refused: access_denied" in page.text
            assert "s3cret" not in json.dumps(dict(page.headers)) + page.text


async def test_a_session_outlives_the_tokens_of_its_provider(tmp_path: Path, secret: Path) -> None:
    async with _provider() as provider:
        # Less than the console leaves a token.
        provider.lifetimes = [SHORT, SHORT, 3600]
        async with (
            gateway_with_console(tmp_path, _config(provider, secret)) as console,
            httpx.AsyncClient(
                base_url=console.url, follow_redirects=True, timeout=PATIENCE
            ) as http,
        ):
            # The first page has the second token already.
            assert (await http.get("/sign-in/oidc")).url.path == "/"
            assert provider.refreshes == ["refresh-0", "refresh-1"]
            # The requests of a page come at once, and the token for the next one is taken once.
            pages = await asyncio.gather(*(http.get("/webhooks") for _ in range(5)))
            assert {page.url.path for page in pages} == {"/webhooks"}
            assert provider.refreshes == ["refresh-0", "refresh-1", "refresh-2"]
            assert (await http.get("/webhooks")).url.path == "/webhooks"
            assert len(provider.refreshes) == 3
            text = (await http.get("/webhooks")).text
            token = text.partition('name="csrf" value="')[2].partition('"')[0]
            own = {"Origin": console.url}
            page = await http.post("/sign-out", data={"csrf": token}, headers=own)
            assert "Sign in with" in page.text
            assert provider.revoked == ["refresh-2"]

            # A provider that gives no token any more ends the session.
            provider.lifetimes = [SHORT]
            assert (await http.get("/sign-in/oidc")).url.path == "/"
            provider.refreshes.append("another")
            page = await http.get("/webhooks")
            assert page.url.path == "/sign-in"
            assert "your session has ended" in page.text
