"""Header lines that carry secrets, and texts that must not."""

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MAX_VALUE = 16 * 1024  # characters
HIDDEN = "[hidden]"
SHORT = 4  # characters; what is shorter than this guards nothing, and stands in many a text


def header_line(name: str, value: str) -> bytes:
    """The whole line with its CRLF. Raises ValueError where the value cannot stand in a header,
    without repeating it."""
    if not value.isascii() or not value.isprintable():
        raise ValueError("it holds characters that a header cannot carry")
    if len(value) > MAX_VALUE:
        raise ValueError(f"it is longer than {MAX_VALUE} characters")
    return f"{name.lower()}: {value}\r\n".encode()


def without(secrets: Iterable[str], text: str, *, cut: bool = False) -> str:
    """A text from elsewhere, with the secrets in it made unreadable, also where they are written
    as JSON, HTML, a URL or base64 would have them. ``cut``: it ends where it was cut off, perhaps
    in the middle of a secret."""
    forms = {form for secret in secrets if len(secret) >= SHORT for form in _forms(secret)}
    # The longest first: of one that begins like another the rest would be left.
    ordered = sorted(forms, key=len, reverse=True)
    for form in ordered:
        text = text.replace(form, HIDDEN)
    if cut:
        for form in ordered:
            for length in range(min(len(form) - 1, len(text)), SHORT - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + HIDDEN
    return text


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, in_json.replace("/", "\\/"), html.escape(secret))
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw), raw.hex())
    yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
