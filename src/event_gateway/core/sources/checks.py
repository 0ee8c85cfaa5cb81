"""What providers check: signatures, keys and times. Every comparison takes constant time."""

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence

from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Proof, Refused
from event_gateway.core.text.times import parse_time

MAX_SIGNATURES = 16  # of one request
HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha512": hashlib.sha512}
WRONG = "the signature is wrong"
_MILLISECONDS = 100_000_000_000  # a larger number of a time counts milliseconds


def header(inbound: Inbound, name: str) -> str:
    """A header that must be there. Raises Refused."""
    value = inbound.headers.get(name)
    if not value:
        raise Refused("signature", f"the header {name} is missing")
    return value


def secrets_of(proof: Proof) -> Sequence[str]:
    """The values of the source's secret. Raises Refused if there is none."""
    if not proof.secrets:
        raise Refused("unconfigured", "the source's secret is missing")
    return proof.secrets


def mac(secret: bytes, content: bytes, algorithm: str = "sha256") -> bytes:
    """The HMAC of a content (RFC 2104)."""
    return hmac.new(secret, content, HASHES[algorithm]).digest()


def check_hmac(
    proof: Proof,
    content: bytes,
    given: Iterable[str],
    *,
    algorithm: str = "sha256",
    encoding: str = "hex",
) -> None:
    """Raises Refused unless one of the signatures, in hexadecimal digits or base64, is that of the
    content under one of the values of the secret."""
    signatures = [text.strip().encode("utf-8", "replace") for text in given][:MAX_SIGNATURES]
    if encoding == "hex":
        signatures = [text.lower() for text in signatures]
    right = False
    for secret in secrets_of(proof):
        digest = mac(secret.encode(), content, algorithm)
        expected = digest.hex().encode() if encoding == "hex" else base64.b64encode(digest)
        for signature in signatures:
            right |= hmac.compare_digest(expected, signature)
    if not right:
        raise Refused("signature", WRONG if signatures else "there is no signature")


def check_shared(proof: Proof, given: str | None, where: str) -> None:
    """Raises Refused unless a text is one of the values of the secret. ``where`` it was given."""
    values = secrets_of(proof)
    if not given:
        raise Refused("signature", f"{where} is missing")
    text = given.encode("utf-8", "replace")
    right = False
    for value in values:
        right |= hmac.compare_digest(value.encode(), text)
    if not right:
        raise Refused("signature", f"{where} is wrong")


def seconds_of(text: str) -> float:
    """A time as providers write it: seconds or milliseconds since the epoch, or RFC 3339. Raises
    Refused."""
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 16:
        number = int(digits)
        return number / 1000 if number > _MILLISECONDS else float(number)
    try:
        return parse_time(digits)
    except ValueError:
        raise Refused("malformed", "the time of the request is not a time") from None


def check_time(inbound: Inbound, proof: Proof, text: str) -> None:
    """Raises Refused unless a signed time is as near to the gateway's as the source tolerates."""
    away = inbound.received_at - seconds_of(text)
    if abs(away) > proof.tolerance:
        side = "old" if away > 0 else "in the future"
        raise Refused("time", f"the request is {abs(away):.0f} seconds {side}, more than "
                              f"{proof.tolerance:.0f}")  # fmt: skip


def pairs(text: str, separator: str) -> list[tuple[str, str]]:
    """The parts of a header such as ``t=1,v1=abc``."""
    parts = text.split(separator)[: 2 * MAX_SIGNATURES]
    return [(name.strip(), value.strip()) for name, _, value in (p.partition("=") for p in parts)]
