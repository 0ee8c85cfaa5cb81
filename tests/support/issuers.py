"""An issuer of tokens for tests: real keys, and its discovery document and key set over HTTP."""

import asyncio
import contextlib
import hmac
import json
import time
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64encode
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from support.receiver import serving

AUDIENCE = "event-gateway"


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> RSAKey:
    """A private key; the same for the same number, as making one takes long."""
    with warnings.catch_warnings(action="ignore"):
        return RSAKey.generate_key(bits)


@cache
def ec_key(curve: Any = "P-256", number: int = 0) -> ECKey:
    """A private key on a curve."""
    return ECKey.generate_key(curve)


@cache
def ed_key(number: int = 0) -> OKPKey:
    """A private Ed25519 key."""
    return OKPKey.generate_key("Ed25519")


def public(key: Key, **members: Any) -> dict[str, Any]:
    """The JWK of a key's public part."""
    return {**key.as_dict(private=False), **members}


def jwk_set(*keys: dict[str, Any]) -> bytes:
    """The JSON of a key set."""
    return json.dumps({"keys": keys}).encode()


def claims_of(issuer: str, **claims: Any) -> dict[str, Any]:
    """The claims of a valid token; None leaves one out."""
    now = int(time.time())
    made = {"iss": issuer, "aud": AUDIENCE, "sub": "service-1", "iat": now, "exp": now + 300}
    return {name: value for name, value in (made | claims).items() if value is not None}


def encoded(part: Any) -> bytes:
    """A part of a token; text is taken as it is."""
    raw = part.encode() if isinstance(part, str) else json.dumps(part).encode()
    return urlsafe_b64encode(raw)


def signed(key: Key, algorithm: str, claims: Any, **header: Any) -> str:
    """A token, signed without any check of what it says."""
    protected = encoded({"alg": algorithm, **header})
    content = protected + b"." + encoded(claims)
    signature = JWSRegistry.algorithms[algorithm].sign(content, key)
    return (content + b"." + urlsafe_b64encode(signature)).decode()


def signed_parts(key: Key, algorithm: str, header: str, claims: str) -> str:
    """As :func:`signed`, of JSON texts."""
    content = encoded(header) + b"." + encoded(claims)
    signature = JWSRegistry.algorithms[algorithm].sign(content, key)
    return (content + b"." + urlsafe_b64encode(signature)).decode()


def signed_by_secret(secret: str, algorithm: str, claims: Any, **header: Any) -> str:
    """A token that a shared secret has signed."""
    content = encoded({"alg": algorithm, **header}) + b"." + encoded(claims)
    mac = hmac.digest(secret.encode(), content, f"sha{algorithm[2:]}")
    return (content + b"." + urlsafe_b64encode(mac)).decode()


@dataclass
class StubIssuer:
    """Publishes ``keys`` (JWKs by key id); ``requests`` counts requests for them by path.

    ``status`` is that of its answers, ``body`` their content in place of the key set, ``headers``
    are added, and each answer waits until ``free`` is set.
    """

    url: str = ""
    keys: dict[str, Key] = field(default_factory=dict)
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    discovery: dict[str, Any] = field(default_factory=dict)

    def token(self, kid: str, algorithm: str = "RS256", **claims: Any) -> str:
        """A token that the key of this id has signed."""
        return signed(self.keys[kid], algorithm, claims_of(self.url, **claims), kid=kid)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        self.requests.append(path)
        await self.free.wait()
        if path.endswith("openid-configuration"):
            document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}
            return Response(json.dumps(document), self.status, self.headers)
        keys = [public(key, kid=kid, use="sig") for kid, key in self.keys.items()]
        body = jwk_set(*keys) if self.body is None else self.body
        return Response(body, self.status, self.headers)


@contextlib.asynccontextmanager
async def running_issuer(**tls: Any) -> AsyncIterator[StubIssuer]:
    """An issuer on a free port of the loopback interface; ``tls``: uvicorn's ``ssl_…``."""
    issuer = StubIssuer(keys={"k1": rsa_key()})
    issuer.free.set()
    async with serving(Route("/{path:path}", issuer._answer), **tls) as url:
        issuer.url = url
        yield issuer
