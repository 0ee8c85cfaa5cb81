"""Redaction: removes secrets from texts that receivers and authorization servers send back."""

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
MIN_LENGTH = 4  # characters; shorter secrets protect nothing, and occur in many texts by chance


def redact(secrets: Iterable[str], text: str, *, cut: bool = False) -> str:
    """The text with ``[hidden]`` in place of each secret, also of a secret encoded for JSON, HTML,
    a URL or in base64. ``cut``: the text was cut off, perhaps in the middle of a secret."""
    forms = {form for secret in secrets if len(secret) >= MIN_LENGTH for form in _forms(secret)}
    # The longest first: after a shorter one with the same beginning its rest would be left.
    ordered = sorted(forms, key=len, reverse=True)
    for form in ordered:
        text = text.replace(form, HIDDEN)
    if cut:
        for form in ordered:
            for length in range(min(len(form) - 1, len(text)), MIN_LENGTH - 1, -1):
                if text.endswith(form[:length]):
                    return text[:-length] + HIDDEN
    return text


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode("utf-8", "surrogateescape")
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, in_json.replace("/", "\\/"), html.escape(secret))
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw), raw.hex())
    yield from (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
