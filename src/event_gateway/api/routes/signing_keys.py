"""``/.well-known/webhook-keys.json``: the public keys of asymmetric signatures, for anybody.

A JSON Web Key Set (RFC 7517, keys of RFC 8037); ``whpk``: each key as Standard Webhooks writes it.
"""

import base64
import hashlib
import json
import time

from starlette.requests import Request
from starlette.responses import Response

from event_gateway.broker.registry import Registry
from event_gateway.core.webhook.signing_keys import PUBLIC, public_key, split_keys
from event_gateway.secrets.named import Secrets

PATH = "/.well-known/webhook-keys.json"
MAX_AGE = 300  # seconds for which clients may cache an answer
CACHED = 5.0  # seconds for which this process does, unless the registry changes


class SigningKeysEndpoint:
    """The route. It needs no key, so its answer is cached: there may be many webhooks."""

    def __init__(self, registry: Registry, secrets: Secrets) -> None:
        self._registry = registry
        self._secrets = secrets
        self._body = b""
        self._revision = -1
        self._cached_until = 0.0

    async def get(self, request: Request) -> Response:
        """All public keys in use, those that are being rotated out too."""
        now = time.monotonic()
        if now >= self._cached_until or self._revision != self._registry.revision:
            self._body = json.dumps({"keys": self._public_keys()}).encode()
            self._revision, self._cached_until = self._registry.revision, now + CACHED
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}"}
        return Response(self._body, headers=headers, media_type="application/json")

    def _public_keys(self) -> list[dict[str, str]]:
        keys: dict[str, dict[str, str]] = {}
        names = {
            method.secret_name
            for webhook in self._registry.webhooks.values()
            for method in webhook.security
            if method.auth_type == "hmac_signature" and method.secret_name
        }
        for name in sorted(names):
            try:
                for private in split_keys(self._secrets.find(name)):
                    raw = public_key(private)
                    if raw is not None:
                        key = _jwk(raw)
                        keys[key["kid"]] = key
            except ValueError:
                continue  # the webhook's deliveries report the invalid key
        return list(keys.values())


def _jwk(raw: bytes) -> dict[str, str]:
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    # The thumbprint of RFC 7638 depends on the key only: all processes give the same id.
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": x,
        "kid": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "use": "sig",
        "alg": "EdDSA",
        "whpk": PUBLIC + base64.b64encode(raw).decode(),
    }
