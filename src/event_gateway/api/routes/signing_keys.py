"""``/.well-known/webhook-keys.json``: the public keys of asymmetric signatures, for anybody.

A JSON Web Key Set (RFC 7517, keys of RFC 8037); ``whpk``: each key as Standard Webhooks writes it.
"""

import base64
import hashlib
import json
import time

from starlette.requests import Request
from starlette.responses import Response

from event_gateway.api.server.context import Context
from event_gateway.request.auth.signature import PUBLIC, public_key, split_keys

MAX_AGE = 300  # seconds for which those who ask may keep an answer
KEPT = 5.0  # seconds; a changed webhook or sealed secret ends it


class PublishedKeys:
    """The answer of one process, kept a moment: anybody may ask, and webhooks may be many."""

    def __init__(self) -> None:
        self._answer = b""
        self._revision = -1
        self._until = 0.0

    async def answer(self, request: Request) -> Response:
        """All keys that are in use, those about to be given up too."""
        context: Context = request.app.state.context
        now = time.monotonic()
        if now >= self._until or self._revision != context.registry.revision:
            self._answer = json.dumps({"keys": _public_keys(context)}).encode()
            self._revision, self._until = context.registry.revision, now + KEPT
        headers = {"Cache-Control": f"public, max-age={MAX_AGE}"}
        return Response(self._answer, headers=headers, media_type="application/json")


def _public_keys(context: Context) -> list[dict[str, str]]:
    keys: dict[str, dict[str, str]] = {}
    names = {
        method.secret_name
        for webhook in context.registry.webhooks.values()
        for method in webhook.security
        if method.auth_type == "hmac_signature" and method.secret_name
    }
    for name in sorted(names):
        try:
            for private in split_keys(context.secrets.find(name)):
                raw = public_key(private)
                if raw is not None:
                    key = _jwk(raw)
                    keys[key["kid"]] = key
        except ValueError:
            continue  # its deliveries say so
    return list(keys.values())


def _jwk(raw: bytes) -> dict[str, str]:
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    # The thumbprint of RFC 7638: the same wherever it is made.
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
