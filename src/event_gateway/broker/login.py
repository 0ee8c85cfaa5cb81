"""How the gateway proves to NATS who it is. Each function is called for every new connection, so
that a renewed file is used without a restart."""

import base64
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from nats.errors import Error as NatsError

if TYPE_CHECKING:
    import nkeys

_JWT = re.compile(r"-{3,} ?BEGIN NATS USER JWT ?-{3,}\s+(\S+)\s")
_SEED = re.compile(r"-{3,} ?BEGIN USER NKEY SEED ?-{3,}\s+(\S+)\s")

Result = TypeVar("Result")
Read = Callable[[], str]  # raises ValueError, whose text names the file and no secret


class NatsLoginFailed(NatsError):
    """The gateway cannot log in as configured. The text names the key of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsLogin:
    """What is configured beside ``nats.url``; at most one of password, token, creds and nkey.

    ``user`` belongs to ``password``. ``creds`` returns the text of a credentials file, ``nkey`` the
    seed of a user. ``tls`` returns the context of the next connection and raises ValueError; with
    it the gateway talks to no server without TLS. ``handshake_first``: TLS begins before the
    server's greeting.
    """

    user: str | None = None
    password: Read | None = field(default=None, repr=False)
    token: Read | None = field(default=None, repr=False)
    creds: Read | None = field(default=None, repr=False)
    nkey: Read | None = field(default=None, repr=False)
    tls: Callable[[], ssl.SSLContext] | None = None
    handshake_first: bool = False

    @property
    def key(self) -> str:
        """The key of the configuration that says who the gateway is."""
        for name in ("creds", "nkey", "token", "password"):
            if getattr(self, name) is not None:
                return f"nats.{name}"
        return "nats.url"

    @property
    def signs(self) -> bool:
        """Whether the gateway proves itself by a signature."""
        return self.creds is not None or self.nkey is not None

    def options(self) -> dict[str, object]:
        """The arguments of the client for password or token. They raise NatsLoginFailed when
        called."""
        if self.password is not None:
            return {"user": self.user, "password": _failing(self.password)}
        if self.token is not None:
            return {"token": _failing(self.token)}
        return {}

    def signature(self, nonce: str) -> tuple[dict[str, str], bytes]:
        """For the nonce of a server: the identity of the signer (``jwt`` or ``nkey``), and the
        signature in base64.

        Raises NatsLoginFailed."""
        if self.creds is not None:
            jwt, seed = parse_creds(_failing(self.creds)())
            pair = _pair(seed, "nats.creds")
            who = {"jwt": jwt}
        else:
            assert self.nkey is not None
            pair = _pair(_failing(self.nkey)().strip(), "nats.nkey")
            who = {"nkey": pair.public_key.decode()}
        return who, base64.b64encode(pair.sign(nonce.encode()))

    def context(self) -> ssl.SSLContext | None:
        """The TLS context of the next connection, None if ``nats.tls`` is not configured. Raises
        NatsLoginFailed."""
        return None if self.tls is None else _failing(self.tls)()

    def check(self) -> None:
        """Reads everything once. Raises NatsLoginFailed."""
        for read in (self.password, self.token):
            if read is not None:
                _failing(read)()
        self.context()
        if self.signs:
            self.signature("")


def parse_creds(text: str) -> tuple[str, str]:
    """The JWT and the seed in a credentials file of NATS. Raises NatsLoginFailed."""
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt is None or seed is None:
        missing = "user JWT" if jwt is None else "seed of a user"
        raise NatsLoginFailed(f"nats.creds: the credentials hold no {missing}")
    return jwt[1], seed[1]


def _pair(seed: str, key: str) -> "nkeys.KeyPair":
    import nkeys  # with PyNaCl, which most gateways do not need

    try:
        prefix, _ = nkeys.decode_seed(seed.encode())
        if prefix != nkeys.PREFIX_BYTE_USER:
            raise NatsLoginFailed(f"{key}: the seed is not one of a user (SU…)")
        pair: nkeys.KeyPair = nkeys.from_seed(seed.encode())
    except (nkeys.NkeysError, ValueError, TypeError, IndexError):
        raise NatsLoginFailed(f"{key}: is no seed of a user (SU…)") from None
    return pair


def _failing(read: Callable[[], Result]) -> Callable[[], Result]:
    def call() -> Result:
        try:
            return read()
        except ValueError as error:
            raise NatsLoginFailed(str(error)) from None

    return call
