"""The one mapping between event types and NATS subjects.

A type is any text, a subject is not: it has no spaces, no empty tokens, and ``*`` and ``>`` mean
something in it. So the tokens of a type are encoded, and a pattern is encoded in the same way
wherever it meets subjects: in named streams, captured subjects and subscriptions. Patterns of
webhooks are compared with the type itself. Reasons: docs/decisions/0028-types-and-subjects.md.
"""

import hashlib
import re
from urllib.parse import unquote_to_bytes

MAX_LENGTH = 255  # characters of a pattern, and of a subject that is not cut
MAX_TOKENS = 32  # of a pattern
LONG_TOKEN = 56  # characters of an encoded token; a longer one is cut in a long subject
BEGINNING = 32  # characters that are left of it
EVENTS_ROOT = "events"  # the first token of subjects for types that no other subject captures
_DIGEST = 16  # characters
_CUT_ESCAPE = re.compile("%[0-9A-F]?$")
_UNSAFE = frozenset(b' *>%\x7f\t\r\n"')
_WILDCARDS = ("*", ">")


def subject_of(event_type: str) -> str:
    """The subject of a type, by its tokens.

    Bytes of UTF-8 that a NATS token cannot contain, those above ASCII and ``%`` are
    percent-encoded; an empty token becomes ``%``. If the subject has more than MAX_LENGTH
    characters, its long tokens are cut, and what is behind the first MAX_TOKENS + 1 tokens becomes
    one token: no pattern has more.
    """
    tokens = [_encoded(token) for token in event_type.split(".")]
    subject = ".".join(tokens)
    if len(subject) <= MAX_LENGTH:
        return subject
    kept = [_cut(token) for token in tokens[: MAX_TOKENS + 1]]
    if len(tokens) > len(kept):
        kept.append(f"~{_digest('.'.join(tokens[len(kept) :]))}")
    return ".".join(kept)


def type_of(subject: str) -> str:
    """The type whose subject this is; the subject itself if it is that of no type. A first token
    ``events`` does not belong to the type."""
    text = subject.removeprefix(f"{EVENTS_ROOT}.")
    if "%" not in text:
        return text
    tokens = ["" if token == "%" else token for token in text.split(".")]
    try:
        event_type = unquote_to_bytes(".".join(tokens)).decode()
    except UnicodeDecodeError:
        return text
    return event_type if event_type.isprintable() and subject_of(event_type) == text else text


def spellings(pattern: str) -> tuple[str, ...]:
    """The patterns of subjects for a pattern of types: as it is written, encoded, and encoded with
    its long tokens cut. Mostly these are the same."""
    tokens = pattern.split(".")
    encoded = [token if token in _WILDCARDS else _encoded(token) for token in tokens]
    cut = [token if token in _WILDCARDS else _cut(token) for token in encoded]
    found = (pattern, ".".join(encoded), ".".join(cut))
    return tuple(dict.fromkeys(text for text in found if " " not in text))


def log_subjects(pattern: str) -> tuple[str, ...]:
    """The patterns of the log's subjects for a pattern of types: its spellings, and those below
    ``events``, where events lie whose type no other subject captures."""
    written = spellings(pattern)
    if pattern.startswith(f"{EVENTS_ROOT}."):
        return written
    return (*written, *(f"{EVENTS_ROOT}.{subject}" for subject in written))


def _encoded(token: str) -> str:
    encoded = "".join(
        f"%{b:02X}" if b < 0x21 or b >= 0x7F or b in _UNSAFE else chr(b)
        for b in token.encode("utf-8", "surrogatepass")
    )
    return encoded or "%"


def _cut(token: str) -> str:
    """An encoded token, its end replaced by a digest if it is long."""
    if len(token) <= LONG_TOKEN:
        return token
    return f"{_CUT_ESCAPE.sub('', token[:BEGINNING])}~{_digest(token)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
