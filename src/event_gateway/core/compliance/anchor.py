"""Anchors: signed statements of how far a chain went, and which link it had there.

A statement is text, one line each, and ends with a line break; its bytes are what is signed with
ed25519 (RFC 8032). Whoever holds an anchor outside can tell whether the chain was written anew.
"""

import base64
import hashlib
from typing import Any

import msgspec

from event_gateway.core.webhook.signing_keys import PUBLIC, checker, public_key, signer

TITLE = "event-gateway anchor 1"
NONE = "none"
MAX_STATEMENT = 1024  # characters
_KEYS = ("stream", "sequence", "link", "time", "first", "first-time", "retention", "previous")


class Statement(msgspec.Struct, frozen=True):
    """What an anchor says: the chain of ``stream`` had ``link`` (hexadecimal) at ``sequence``, at
    ``time`` (RFC 3339). Then ``first`` was the first sequence that was left, stored at
    ``first_time`` (empty if nothing was left), and the stream kept its messages for ``retention``
    seconds (None: no limit). ``previous``: the SHA-256 of the statement before it, in hexadecimal;
    empty if there is none."""

    stream: str
    sequence: int
    link: str
    time: str
    first: int
    first_time: str
    retention: float | None
    previous: str

    @property
    def text(self) -> str:
        """The statement as it is signed."""
        retention = NONE if self.retention is None else f"{self.retention:.3f}s"
        values = (
            self.stream, self.sequence, self.link, self.time, self.first,
            self.first_time or NONE, retention, self.previous or NONE,
        )  # fmt: skip
        lines = [f"{key}: {value}" for key, value in zip(_KEYS, values, strict=True)]
        return "\n".join((TITLE, *lines, ""))


class Anchor(msgspec.Struct, frozen=True, tag="anchor"):
    """A statement's text, its signature (base64 in JSON), and the public key (``whpk_…``)."""

    statement: str
    signature: bytes
    key: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the statement, in hexadecimal: what a stamp from outside is about."""
        return hashlib.sha256(self.statement.encode()).hexdigest()

    def read(self) -> Statement:
        """The statement. Raises ValueError if it is none."""
        lines = self.statement.split("\n")
        if len(self.statement) > MAX_STATEMENT or lines[0] != TITLE or lines[-1]:
            raise ValueError("it is not the statement of an anchor")
        pairs = [line.partition(": ") for line in lines[1:-1]]
        if [key for key, _, _ in pairs] != list(_KEYS):
            raise ValueError("the statement has not the lines of an anchor")
        values = {key: value for key, _, value in pairs}
        retention = values["retention"]
        return Statement(
            values["stream"], int(values["sequence"]), values["link"], values["time"],
            int(values["first"]),
            "" if values["first-time"] == NONE else values["first-time"],
            None if retention == NONE else float(retention.rstrip("s")),
            "" if values["previous"] == NONE else values["previous"],
        )  # fmt: skip

    def shown(self) -> dict[str, Any]:
        """The anchor as the API and its event show it. Raises ValueError."""
        statement = self.read()
        return {
            "stream": statement.stream,
            "sequence": statement.sequence,
            "link": statement.link,
            "time": statement.time,
            "statement": self.statement,
            "signature": base64.b64encode(self.signature).decode(),
            "public_key": self.key,
            "digest": self.digest,
        }

    def is_signed(self) -> bool:
        """Whether the signature is that of the key that the anchor names."""
        if not self.key.startswith(PUBLIC):
            return False
        try:
            signature = base64.b64encode(self.signature)
            return checker(self.key).has_made(self.statement.encode(), [signature])
        except ValueError:
            return False


class Stamp(msgspec.Struct, frozen=True, tag="stamp"):
    """Somebody outside confirms when an anchor existed. ``sequence``: of the anchor; ``kind``: such
    as ``rfc3161``; ``value``: the token as its issuer made it (base64 in JSON)."""

    sequence: int
    kind: str
    value: bytes


def sign(statement: Statement, key: str) -> Anchor:
    """The anchor of a statement, signed with a private key (``whsk_…``). Raises ValueError."""
    text = statement.text
    shown = public_name(key)
    signature = signer(key)(text.encode()).removeprefix(b"v1a,")
    return Anchor(text, base64.b64decode(signature), shown)


def public_name(key: str) -> str:
    """The public part (``whpk_…``) of a private key. Raises ValueError if it is none."""
    raw = public_key(key)
    if raw is None:
        raise ValueError("the key of the anchors must be a private one (whsk_…)")
    return PUBLIC + base64.b64encode(raw).decode()
