"""The keys that verify tokens: from JWK sets (RFC 7517), from PEM, and shared secrets.

A key that must not verify tokens is left out when the keys are read, not when a token comes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.json_text import MalformedJson, read_json

if TYPE_CHECKING:
    from joserfc.jwk import Key

SHARED_SECRET = ("HS256", "HS384", "HS512")
PUBLIC_KEY = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512",
    "EdDSA", "Ed25519",
)  # fmt: skip
ALGORITHMS = frozenset((*PUBLIC_KEY, *SHARED_SECRET))

MAX_KEYS = 64  # of one set
MAX_KID = 256  # characters
MIN_RSA, MAX_RSA = 2048, 8192  # bits of the modulus (RFC 7518, 3.3); larger ones are slow
MAX_EXPONENT = 2**32  # of RSA: the time of a check grows with it
MAX_MEMBER = 2048  # characters of a member of a JWK: more than those of the largest RSA key
_CURVES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_CURVE_NAMES = ("secp256r1", "secp384r1", "secp521r1")
_RSA = frozenset(name for name in PUBLIC_KEY if name[:2] in ("RS", "PS"))
_EDDSA = frozenset(("EdDSA", "Ed25519"))
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class UnusableKeys(Exception):
    """There is no set of keys, or a key in a file cannot verify tokens; the text says why."""


class VerificationKey(msgspec.Struct, frozen=True):
    """A key and the algorithms that it may be used with. ``kid``: its id in tokens, None if it has
    none; ``thumbprint``: what it is (RFC 7638)."""

    kid: str | None
    algorithms: frozenset[str]
    thumbprint: str
    key: "Key"


class VerificationKeys(msgspec.Struct, frozen=True):
    """The keys of an issuer. ``left_out``: of which keys of the set none is used, and why."""

    keys: tuple[VerificationKey, ...] = ()
    left_out: tuple[str, ...] = ()

    def candidates(self, kid: str | None, algorithm: str) -> Iterator[VerificationKey]:
        """The keys that may have signed a token with this key id and algorithm: those of the id,
        else those without any; all, if the token names no key."""
        named = [key for key in self.keys if key.kid == kid]
        keys = self.keys if kid is None else named or [key for key in self.keys if key.kid is None]
        return (key for key in keys if algorithm in key.algorithms)

    def knows(self, kid: str | None) -> bool:
        """Whether there is a key of this id."""
        return kid is not None and any(key.kid == kid for key in self.keys)

    @property
    def thumbprints(self) -> frozenset[str]:
        """What the keys are."""
        return frozenset(key.thumbprint for key in self.keys)


def read_jwk_set(raw: bytes) -> VerificationKeys:
    """The keys of a JWK set that may verify tokens. Raises UnusableKeys if it is no JWK set.

    A key for encryption is left out silently; any other one that is not usable, and one whose id
    another key of its type has, is named in ``left_out``.
    """
    try:
        document = read_json(raw)
    except (MalformedJson, InvalidDefinition) as error:
        raise UnusableKeys(f"the JWK set cannot be read: {error}") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnusableKeys("this is no JWK set: it has no list 'keys'")
    keys: list[VerificationKey] = []
    left_out: list[str] = []
    for position, jwk in enumerate(listed):
        if len(keys) == MAX_KEYS:
            left_out.append(f"the keys after the first {MAX_KEYS}")
            break
        if isinstance(jwk, dict) and jwk.get("use") == "enc":
            continue
        try:
            key = _key_of(jwk)
            if any(other.kid == key.kid and _family(other) == _family(key) for other in keys):
                raise UnusableKeys("another key of the set has its id")
            keys.append(key)
        except UnusableKeys as error:
            left_out.append(f"{_shown(jwk, position)}: {error}")
    return VerificationKeys(tuple(keys), tuple(left_out))


def read_key_file(raw: bytes) -> VerificationKeys:
    """The keys in a file: a JWK set, a JWK, or public keys and certificates in PEM.

    Raises UnusableKeys, also if one of the keys is not usable.
    """
    if b"-----BEGIN " in raw:
        found = tuple(_pem_key(match) for match in _PEM.finditer(raw))
        if not found:
            raise UnusableKeys("it has no key that verifies tokens")
        return VerificationKeys(found)
    try:
        single = read_json(raw)
    except (MalformedJson, InvalidDefinition):
        raise UnusableKeys("it is neither a JWK set in JSON nor PEM") from None
    if isinstance(single, dict) and "keys" not in single:
        return VerificationKeys((_key_of(single),))
    keys = read_jwk_set(raw)
    if keys.left_out:
        raise UnusableKeys("; ".join(keys.left_out))
    if not keys.keys:
        raise UnusableKeys("it has no key that verifies tokens")
    return keys


def shared_key(secret: str) -> VerificationKeys:
    """The key that a shared secret is. Raises UnusableKeys: also for a public key, with which
    anybody could sign, and for a secret that is shorter than a digest (RFC 7518, 3.2)."""
    raw = secret.encode()
    if b"-----BEGIN " in raw or raw.startswith((b"ssh-", b"ecdsa-")) or b'"kty"' in raw:
        raise UnusableKeys("it is a key of another kind, not a shared secret")
    algorithms = frozenset(name for name in SHARED_SECRET if len(raw) * 8 >= int(name[2:]))
    if not algorithms:
        raise UnusableKeys("a shared secret has at least 32 bytes")
    from joserfc.jwk import OctKey

    key = OctKey.import_key(raw)
    return VerificationKeys((VerificationKey(None, algorithms, key.thumbprint(), key),))


def _key_of(jwk: Any) -> VerificationKey:
    """A key of a JWK set. Raises UnusableKeys."""
    if not isinstance(jwk, dict):
        raise UnusableKeys("it is no object")
    if jwk.get("kty") == "oct":
        raise UnusableKeys("a shared key is no secret in a set that others can read")
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID):
        raise UnusableKeys(f"its kid is not text of 1 to {MAX_KID} characters")
    if jwk.get("use", "sig") != "sig":
        raise UnusableKeys("it is not for signatures (use)")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise UnusableKeys("it is not for signatures (key_ops)")
    algorithm = jwk.get("alg")
    members = _MEMBERS.get(str(jwk.get("kty")))
    if members is None:
        raise UnusableKeys("its kty is not RSA, EC or OKP")
    # A private part, certificates and what else the issuer tells are not needed.
    public: dict[str, Any] = {name: jwk.get(name) for name in ("kty", *members)}
    if not all(isinstance(value, str) and len(value) <= MAX_MEMBER for value in public.values()):
        raise UnusableKeys(f"it needs {', '.join(members)} as text")
    if public["kty"] == "RSA":
        _check_rsa(public["n"], public["e"])
    elif public["crv"] not in (_CURVES if public["kty"] == "EC" else ("Ed25519",)):
        raise UnusableKeys("its curve is not P-256, P-384, P-521 or Ed25519")
    key = _imported(public)
    algorithms = _algorithms(key)
    if algorithm is not None:
        if not isinstance(algorithm, str) or algorithm not in algorithms:
            raise UnusableKeys("its alg is not one for signatures with such a key")
        algorithms = frozenset((algorithm,))
    return VerificationKey(kid, algorithms, key.thumbprint(), key)


def _imported(public: Mapping[str, Any]) -> "Key":
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        return import_key(dict(public))
    except (JoseError, ValueError, TypeError):
        raise UnusableKeys("it is no point of its curve, or is damaged") from None


def _check_rsa(modulus: str, exponent: str) -> None:
    """Checked before the key is made: a huge one would take long."""
    from joserfc.util import urlsafe_b64decode

    try:
        n, e = (int.from_bytes(urlsafe_b64decode(text.encode())) for text in (modulus, exponent))
    except ValueError:  # also raised for text that is not ASCII
        raise UnusableKeys("it is not written in base64url") from None
    _check_numbers(n.bit_length(), e)


def _check_numbers(size: int, exponent: int) -> None:
    if not MIN_RSA <= size <= MAX_RSA:
        raise UnusableKeys(f"an RSA key has {MIN_RSA} to {MAX_RSA} bits, this one has {size}")
    if not 3 <= exponent < MAX_EXPONENT or exponent % 2 == 0:
        raise UnusableKeys("its exponent is not an odd number between 3 and 2^32")


def _pem_key(match: "re.Match[bytes]") -> VerificationKey:
    """A key of a PEM file. Raises UnusableKeys."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from joserfc.jwk import ECKey, OKPKey, RSAKey

    label, raw = match[1], match[0] + b"\n"
    if b"PRIVATE" in label:
        raise UnusableKeys("it holds a private key; only the public key belongs here")
    found: object
    try:
        if label == b"CERTIFICATE":
            found = x509.load_pem_x509_certificate(raw).public_key()
        else:
            found = load_pem_public_key(raw)
    except ValueError:
        raise UnusableKeys("it holds a damaged key") from None
    key: Key
    if isinstance(found, RSAPublicKey):
        _check_numbers(found.key_size, found.public_numbers().e)
        key = RSAKey(found, found)
    elif isinstance(found, EllipticCurvePublicKey):
        if found.curve.name not in _CURVE_NAMES:
            raise UnusableKeys("its curve is not P-256, P-384 or P-521")
        key = ECKey(found, found)
    elif isinstance(found, Ed25519PublicKey):
        key = OKPKey(found, found)
    else:
        raise UnusableKeys("it holds a key that is not RSA, EC or Ed25519")
    return VerificationKey(None, _algorithms(key), key.thumbprint(), key)


def _algorithms(key: "Key") -> frozenset[str]:
    from joserfc.jwk import ECKey, RSAKey

    if isinstance(key, RSAKey):
        return _RSA
    if isinstance(key, ECKey):
        return frozenset((_CURVES[key.curve_name],))
    return _EDDSA


def _family(key: VerificationKey) -> str:
    return key.key.key_type


def _shown(jwk: Any, position: int) -> str:
    kid = jwk.get("kid") if isinstance(jwk, dict) else None
    return f"key {kid[:64]!r}" if isinstance(kid, str) else f"key {position}"


def union(parts: Sequence[VerificationKeys]) -> VerificationKeys:
    """All keys of several files or secrets."""
    return VerificationKeys(
        tuple(key for part in parts for key in part.keys),
        tuple(reason for part in parts for reason in part.left_out),
    )
