"""Canaries: planted secrets that are recognized in any encoding: base64, hex, JSON, HTML …"""

import base64
import functools
import html
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

BEGINNING = 16  # characters of a secret that are searched for, since a text may have been cut


@dataclass
class Canaries:
    """The planted secrets by name."""

    planted: dict[str, list[bytes]] = field(default_factory=dict)

    def make(self, name: str, odd: str = "") -> str:
        """A new secret. ``odd``: characters in it that JSON, HTML or a URL encode."""
        value = f"canary-{name}-{secrets.token_hex(6)}{odd}{secrets.token_hex(6)}"
        self.plant(name, value)
        return value

    def key(self, name: str, prefix: str) -> str:
        """A new signing key of 32 bytes; both its text and its bytes are planted."""
        raw = secrets.token_bytes(32)
        text = base64.b64encode(raw).decode()
        self.plant(name, text, raw)
        return prefix + text

    def plant(self, name: str, *values: str | bytes) -> None:
        """Plants values that were made elsewhere."""
        raw = [value.encode() if isinstance(value, str) else value for value in values]
        self.planted.setdefault(name, []).extend(raw)

    def in_text(self, data: bytes) -> Iterator[tuple[str, str]]:
        """The secrets in the data: name and encoding."""
        for name, values in self.planted.items():
            for value in values:
                for form, encoded in _forms(value):
                    if encoded in data:
                        yield name, form

    def hits(
        self, places: Iterable[tuple[str, bytes]], allowed: Iterable[tuple[str, str]] = ()
    ) -> list[str]:
        """All secrets in the data of ``places``, as text. ``allowed``: pairs of a secret's name
        and the beginning of the places where it may be."""
        exceptions = tuple(allowed)
        hits = []
        for place, data in places:
            for name, form in self.in_text(data):
                if not any(name == secret and place.startswith(at) for secret, at in exceptions):
                    hits.append(f"{name} ({form}) in {place}")
        return hits


@functools.cache  # each is searched for in hundreds of places
def _forms(value: bytes) -> tuple[tuple[str, bytes], ...]:
    return tuple(_encodings(value))


def _encodings(value: bytes) -> Iterator[tuple[str, bytes]]:
    yield "as it is", value
    yield "its beginning", value[:BEGINNING]
    yield "hex", value.hex().encode()
    yield "hex, large", value.hex().upper().encode()
    yield from _in_base64(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        yield "percent-encoded", quote(value, safe="").encode()
        return
    yield from _in_base64(quote_plus(text).encode())  # as OAuth 2.0 encodes a client's secret
    yield "as a header's name", text.lower().encode()
    for form, written in (
        ("percent-encoded", quote(text, safe="")),
        ("percent-encoded, / left", quote(text)),
        ("as in a form", quote_plus(text)),
        ("HTML", html.escape(text)),
        ("JSON", json.dumps(text)[1:-1]),
        ("JSON, not ASCII", json.dumps(text, ensure_ascii=False)[1:-1]),
        ("JSON with \\/", json.dumps(text)[1:-1].replace("/", "\\/")),
        ("JSON in JSON", json.dumps(json.dumps(text))[3:-3]),
        ("repr", repr(text)[1:-1]),
    ):
        yield form, written.encode()


def _in_base64(value: bytes) -> Iterator[tuple[str, bytes]]:
    """The base64 of a value within a longer text (user:password, Bearer …), for each of the three
    offsets at which it can begin; without the characters that depend on its neighbours."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before, dropped in ((0, 0), (1, 2), (2, 3)):
            encoded = encode(b"\0" * before + value)
            yield f"base64 at {before}", encoded[dropped : (before + len(value)) * 8 // 6]
