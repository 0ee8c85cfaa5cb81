"""What it costs to find out who calls, with nothing of HTTP around it."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from joserfc import jwt
from joserfc.jwk import OKPKey

from event_gateway.api.access.api_keys import ApiKeys
from event_gateway.api.access.authenticator import Authenticator, AuthMethod
from event_gateway.api.access.caller_limits import CallerLimits
from event_gateway.api.access.caller_request import CallerRequest, RawHeaders
from event_gateway.api.access.jwt_tokens import JwtTokens
from event_gateway.api.access.key_sources import Fetched
from event_gateway.api.http.peer import Peer
from event_gateway.config.jwt_model import IssuerModel
from event_gateway.core.access.api_key import new_id, new_value
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
    return _check({"api_key": ApiKeys(_ring(key))}, key, requests)


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

    tokens = JwtTokens(lambda _issuer: fetch, lambda _issuer, _succeeded: None)
    model = IssuerModel(issuer=issuer, audience=["event-gateway"], algorithms=["Ed25519"])
    tokens.configure([model.settings()])
    assert (
        asyncio.run(tokens.authenticate(_request(_headers(token), Peer("127.0.0.1")))) is not None
    )
    return _check({"jwt": tokens, "api_key": ApiKeys(_ring(new_value(new_id())))}, token, None)


def _headers(credential: str) -> RawHeaders:
    return [
        (b"host", b"127.0.0.1:8080"), (b"user-agent", b"bench"), (b"accept", b"*/*"),
        (b"content-type", b"application/cloudevents+json"),
        (b"authorization", b"Bearer " + credential.encode()),
    ]  # fmt: skip


def _request(headers: RawHeaders, peer: Peer) -> CallerRequest:
    return CallerRequest(
        method="POST",
        path="/v1/events",
        raw_path=b"/v1/events",
        headers=headers,
        query=b"",
        peer=peer,
        body=_no_body,
    )


def _check(
    methods: dict[str, AuthMethod], credential: str, requests: int | None
) -> Callable[[], object]:
    limits = CallerLimits(Metrics().http)
    limits.configure(failures=30, period=60.0, requests=requests, window=1.0)
    authenticator = Authenticator(methods, limits)
    headers, peer = _headers(credential), Peer("127.0.0.1")

    def check() -> None:
        request = _request(headers, peer)
        try:
            authenticator.authenticate(request).send(None)
        except StopIteration as returned:
            limits.spend(returned.value)

    return check
