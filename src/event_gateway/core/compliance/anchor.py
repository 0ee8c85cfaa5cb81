"""Anchors: signed statements of how far a chain went, and which link it had there.

A statement is text, one line each, and ends with a line break; its bytes are what is signed with
ed25519 (RFC 8032). An auditor that holds an anchor outside can tell whether the chain was
rewritten.
"""

import base64
import hashlib
import re
from typing import Any

import msgspec

from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.text.times import rfc3339_or_none
from event_gateway.core.webhook.signing_keys import PUBLIC, checker, public_key, signer

VERSION = 2
NONE = "none"
MAX_STATEMENT = 1024  # characters
# The lines behind the title, by version. The first version does not state all limits.
_KEYS = {
    1: ("stream", "sequence", "link", "time", "first", "first-time", "retention", "previous"),
    2: ("stream", "sequence", "link", "time", "first", "first-time", "retention", "max-messages",
        "max-bytes", "held-since", "previous"),
}  # fmt: skip
_SECONDS = re.compile(r"[0-9]+\.[0-9]{3}s")
_TITLES = {f"event-gateway anchor {version}": version for version in _KEYS}


class Statement(msgspec.Struct, frozen=True):
    """What an anchor says: the chain of ``stream`` had ``link`` (hexadecimal) at ``sequence``, at
    ``time`` (RFC 3339). Then ``first`` was the first sequence that was left, stored at
    ``first_time`` (empty if nothing was left). The stream kept its messages within its limits
    (seconds, messages, bytes; None: no limit), which a legal hold suspended from ``held_since`` on
    (empty: there was none). ``previous``: the SHA-256 of the statement before it, in hexadecimal;
    empty if there is none. ``version``: 1 states no other limit than ``retention``, and that as
    None while there was a hold."""

    stream: str
    sequence: int
    link: str
    time: str
    first: int
    first_time: str
    retention: float | None
    previous: str
    max_messages: int | None = None
    max_bytes: int | None = None
    held_since: str = ""
    version: int = VERSION

    @property
    def text(self) -> str:
        """The statement as it is signed."""
        values = {
            "stream": self.stream,
            "sequence": str(self.sequence),
            "link": self.link,
            "time": self.time,
            "first": str(self.first),
            "first-time": self.first_time or NONE,
            "retention": _seconds(self.retention),
            "max-messages": _number(self.max_messages),
            "max-bytes": _number(self.max_bytes),
            "held-since": self.held_since or NONE,
            "previous": self.previous or NONE,
        }
        title = f"event-gateway anchor {self.version}"
        lines = [f"{key}: {values[key]}" for key in _KEYS[self.version]]
        return "\n".join((title, *lines, ""))

    def states(self, definition: StreamDefinition) -> bool:
        """Whether the limits and the holds of a stream are those that it states."""
        if self.version == 1:
            return False
        stated = (self.max_messages, self.max_bytes, self.held_since)
        return _seconds(self.retention) == _seconds(definition.retention) and stated == (
            definition.max_messages, definition.max_bytes, held_since(definition),
        )  # fmt: skip


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
        version = _TITLES.get(lines[0])
        if len(self.statement) > MAX_STATEMENT or version is None or lines[-1]:
            raise ValueError("it is not the statement of an anchor")
        pairs = [line.partition(": ") for line in lines[1:-1]]
        if [key for key, _, _ in pairs] != list(_KEYS[version]):
            raise ValueError("the statement has not the lines of an anchor")
        values = {key: "" if value == NONE else value for key, _, value in pairs}
        retention = values["retention"]
        if retention and _SECONDS.fullmatch(retention) is None:
            raise ValueError("the retention is no number of seconds")
        return Statement(
            values["stream"], int(values["sequence"]), values["link"], values["time"],
            int(values["first"]), values["first-time"],
            float(retention.rstrip("s")) if retention else None, values["previous"],
            _limit(values.get("max-messages")), _limit(values.get("max-bytes")),
            values.get("held-since", ""), version,
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
    """A time stamp from outside confirms when an anchor existed. ``sequence``: of the anchor;
    ``kind``: such as ``rfc3161``; ``value``: the token as its issuer made it (base64 in JSON)."""

    sequence: int
    kind: str
    value: bytes


def held_since(definition: StreamDefinition) -> str:
    """When the oldest hold of a stream was placed, as a statement has it; empty if there is
    none."""
    return rfc3339_or_none(definition.held_since) or ""


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


def _seconds(retention: float | None) -> str:
    return NONE if retention is None else f"{retention:.3f}s"


def _number(limit: int | None) -> str:
    return NONE if limit is None else str(limit)


def _limit(text: str | None) -> int | None:
    return int(text) if text else None
