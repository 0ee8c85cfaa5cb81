"""Header lines that carry secrets, and texts that must not."""

from collections.abc import Iterable

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


def without(secrets: Iterable[str], text: str) -> str:
    """A text from elsewhere, with the secrets in it made unreadable."""
    for secret in secrets:
        if len(secret) >= SHORT:
            text = text.replace(secret, HIDDEN)
    return text
