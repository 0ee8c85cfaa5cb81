"""An operator, an account and users of NATS, as JSON Web Tokens signed with nkeys."""

import base64
import json
import secrets
import time
from typing import Any

import nkeys

_UNLIMITED = dict.fromkeys(
    ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage",
     "disk_storage", "streams", "consumer"), -1,
)  # fmt: skip


class Key:
    """A key pair with its seed."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
        self._pair = nkeys.from_seed(self.seed)
        self.public: str = self._pair.public_key.decode()

    def token(self, subject: str, kind: str, claims: dict[str, Any], expires: float | None) -> str:
        """A token of this key about ``subject``; ``expires`` in seconds from now."""
        now = int(time.time())
        payload: dict[str, Any] = {
            "jti": secrets.token_hex(8), "iat": now, "iss": self.public, "sub": subject,
            "name": kind, "nats": {"type": kind, "version": 2, **claims},
        }  # fmt: skip
        if expires is not None:
            payload["exp"] = now + int(expires)
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        signed = ".".join(_encoded(json.dumps(part).encode()) for part in (head, payload))
        return f"{signed}.{_encoded(self._pair.sign(signed.encode()))}"


class Accounts:
    """An operator with one account beside that of the system, and credentials of new users."""

    def __init__(self) -> None:
        self._operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = Key(nkeys.PREFIX_BYTE_ACCOUNT)

    def settings(self) -> str:
        """What the configuration of a server with these accounts contains."""
        operator = self._operator
        limits = {"limits": {**_UNLIMITED, "wildcards": True}}
        system = {"limits": {**limits["limits"], "mem_storage": 0, "disk_storage": 0}}
        known = ", ".join(
            f"{account.public}: {operator.token(account.public, 'account', claims, None)}"
            for account, claims in ((self._account, limits), (self._system, system))
        )
        return (
            f"operator: {operator.token(operator.public, 'operator', {}, None)}\n"
            f"system_account: {self._system.public}\n"
            f"resolver: MEMORY\nresolver_preload: {{ {known} }}\n"
        )

    def creds(self, expires: float | None = None) -> str:
        """The credentials file of a new user, valid for so many seconds."""
        user = Key(nkeys.PREFIX_BYTE_USER)
        limits = {"subs": -1, "data": -1, "payload": -1}
        return (
            "-----BEGIN NATS USER JWT-----\n"
            f"{self._account.token(user.public, 'user', limits, expires)}\n"
            "------END NATS USER JWT------\n\n"
            "************************* IMPORTANT *************************\n"
            "-----BEGIN USER NKEY SEED-----\n"
            f"{user.seed.decode()}\n"
            "------END USER NKEY SEED------\n"
        )


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()
