"""What it costs to find out who calls, with nothing of HTTP around it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from event_gateway.api.access.api_keys import ApiKeys
from event_gateway.api.access.authenticator import Authenticator, CallerMethod
from event_gateway.api.access.browser_tokens import BrowserTokens
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest, RawHeaders
from event_gateway.api.access.jwt_tokens import JwtTokens
from event_gateway.api.access.key_sources import Fetch, Fetched
from event_gateway.api.http.peer import PEER, Peer
from event_gateway.config.jwt_model import IssuerModel
from event_gateway.core.access.api_key import new_id, new_value
from event_gateway.core.access.issuer import Issuer
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.verification_keys import read_jwk_set
from event_gateway.observability.metrics import Metrics
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.registration.key_ring import KeyRing


def _ring(value: str) -> KeyRing:
    """The keys of a gateway that has only its admin key."""
    admin = AdminKeyFile(Path("none"))
    admin.value = value
    registry: Any = SimpleNamespace(keys={}, notify=lambda **_listeners: None)
    return KeyRing(registry, admin)


async def _no_body() -> bytes:
    return b""


def known_key(requests: int | None = None) -> Callable[[], object]:
    """The check of a known key; ``requests``: how many a second it may send, None for any
    number."""
    key = new_value(new_id())
    return _check(_methods(JwtTokens(_no_source, _no_count), key), key, requests)


def known_token() -> Callable[[], object]:
    """The check of a JSON Web Token that was found valid before, with keys beside it."""
    issuer = "https://issuer.example"
    signer = OKPKey.generate_key("Ed25519", {"kid": "k"})
    keys = read_jwk_set(json.dumps({"keys": [signer.as_dict(private=False)]}).encode())
    now = int(time.time())
    token = jwt.encode(
        {"alg": "Ed25519", "kid": "k"},
        {"iss": issuer, "aud": "event-gateway", "sub": "bench", "iat": now, "exp": now + 86400,
         "scope": "events:publish"},
        signer, algorithms=["Ed25519"],
    )  # fmt: skip

    async def fetch() -> Fetched:
        return Fetched(keys, 86400.0)

    tokens = JwtTokens(lambda _issuer: fetch, _no_count)
    model = IssuerModel(issuer=issuer, audience=["event-gateway"], algorithms=["Ed25519"])
    tokens.configure([model.settings()])
    return _check(_methods(tokens, new_value(new_id())), token, None)


def _methods(tokens: JwtTokens, key: str) -> dict[str, CallerMethod]:
    """The methods of a gateway in their order, up to the keys, of which there is one."""
    browser: Any = None  # the tokens that browsers use, of which there is none
    return {"browser_token": BrowserTokens(browser), "jwt": tokens, "api_key": ApiKeys(_ring(key))}


def _no_source(_issuer: Issuer) -> Fetch:
    raise NotImplementedError


def _no_count(_issuer: str, _succeeded: bool) -> None:
    pass


def _headers(credential: str) -> RawHeaders:
    return [
        (b"host", b"127.0.0.1:8080"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
        (b"content-type", b"application/cloudevents+json"),
        (b"authorization", b"Bearer " + credential.encode()),
    ]  # fmt: skip


def _check(
    methods: dict[str, CallerMethod], credential: str, requests: int | None
) -> Callable[[], object]:
    limits = CallerLimits(Metrics().http)
    limits.configure(failures=30, period=60.0, requests=requests, window=1.0)
    authenticator = Authenticator(methods, limits, lambda _request: None)
    scope = {
        "method": "POST", "path": "/v1/events", "raw_path": b"/v1/events",
        "headers": _headers(credential), "query_string": b"", PEER: Peer("127.0.0.1"),
    }  # fmt: skip

    def check() -> None:
        found = authenticator.authenticate(CallerRequest(scope, _no_body))
        principal = found if isinstance(found, Principal) else asyncio.run(_awaited(found))
        limits.spend(principal)

    check()  # the credential is known from now on
    return check


async def _awaited(caller: Awaitable[Principal]) -> Principal:
    return await caller
