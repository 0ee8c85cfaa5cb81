"""JSON that contains half of a surrogate pair, such as ``\\ud800``: valid by the grammar, but not
text (RFC 8259, 8.2).

The decoder refuses it, as many do. To decode the rest, such halves are replaced.
"""

import re
from collections.abc import Iterable, Iterator

MAX_ESCAPES = 20_000  # of surrogates in one body
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_PARTS = re.compile(
    rb"(?:[^\\]|\\(?!u[dD][89a-fA-F]).)++"
    rb"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})",
    re.DOTALL,
)
_BEFORE_ITEM = re.compile(rb"[\s\[,]*+")
_BEFORE_VALUE = re.compile(rb'[\s{,]*+"(?:[^"\\]|\\.)*+"\s*+:\s*+', re.DOTALL)


def replace_halves(raw: bytes) -> bytes:
    """The JSON with U+FFFD in place of each half; unchanged if there is none, or if it has more
    than MAX_ESCAPES escapes."""
    if _SURROGATE.search(raw) is None or raw.count(b"\\ud") + raw.count(b"\\uD") > MAX_ESCAPES:
        return raw
    return _PARTS.sub(lambda part: rb"\ufffd" if part[1] else part[0], raw)


def values(raw: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    """The values of a JSON object or array as bytes of ``raw``; ``lengths`` are their lengths."""
    before = _BEFORE_VALUE if raw.lstrip()[:1] == b"{" else _BEFORE_ITEM
    at = 0
    for length in lengths:
        match = before.match(raw, at)
        assert match is not None
        at = match.end() + length
        yield raw[match.end() : at]
