"""Redaction: takes secrets out of texts that receivers and authorization servers send back."""

import base64
import html
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
SHORT = 4  # characters; what is shorter than this guards nothing, and stands in many a text


def without(secrets: Iterable[str], text: str, *, cut: bool = False) -> str:
    """The text with ``[hidden]`` in place of each secret, also of one that is written as in JSON,
    HTML, a URL or base64. ``cut``: the text was cut off, perhaps in the middle of a secret."""
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
