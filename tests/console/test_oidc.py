"""Signing in with a provider of OpenID Connect: a real one over HTTP, and wrong answers."""

import base64
import contextlib
import hashlib
import json
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
from support.receiver import serving

KEY = rsa_key()


@dataclass
class Provider:
    """Signs in whoever comes. ``changed``: claims of its ID tokens that are not as they should."""

    url: str = ""
    changed: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)

    def app(self) -> Router:
        """Its application."""
        return Router([
            Route("/.well-known/openid-configuration", self._document),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
        ])  # fmt: skip

    async def _document(self, request: Request) -> Response:
        return JSONResponse({
            "issuer": self.url, "jwks_uri": f"{self.url}/keys",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
        })  # fmt: skip

    async def _keys(self, request: Request) -> Response:
        return Response(jwk_set(public(KEY, kid="k1", use="sig")))

    async def _authorize(self, request: Request) -> Response:
        self.asked = dict(request.query_params)
        return RedirectResponse(
            f"{self.asked['redirect_uri']}?code=c1&state={self.asked['state']}", 303
        )

    async def _token(self, request: Request) -> Response:
        form = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
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
        return JSONResponse({
            "token_type": "Bearer",
            "access_token": self._signed(scope="webhooks:read", sub="ada"),
            "id_token": self._signed(**identity),
        })  # fmt: skip

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


async def test_signing_in_with_a_provider(tmp_path: Path, secret: Path) -> None:
    async with _provider() as provider:
        config = {
            "secrets": {"dir": str(secret)},
            "auth": {"jwt": [{"issuer": provider.url, "audience": "event-gateway"}]},
            "console": {"oidc": {"issuer": provider.url, "client_id": "console",
                                 "secret_name": "console_client"}},
        }  # fmt: skip
        async with gateway_with_console(tmp_path, config) as console:
            async with httpx.AsyncClient(base_url=console.url, follow_redirects=True) as http:
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
                async with httpx.AsyncClient(base_url=console.url, follow_redirects=True) as http:
                    page = await http.get("/sign-in/oidc")
                    assert page.status_code == 403, changed
                    assert "not for this sign-in" in page.text
            provider.changed = {}
            async with httpx.AsyncClient(base_url=console.url) as http:
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
