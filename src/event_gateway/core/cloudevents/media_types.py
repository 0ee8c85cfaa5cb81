"""Media types: the CloudEvents mode of a message, and the kind and encoding of its payload."""

import re
from typing import Literal

from event_gateway.core.errors import InvalidEvent

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Mode = Literal["structured", "batch", "binary"]

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
# An XML declaration stands at the very beginning (XML 1.0, 2.8).
_XML_ENCODING = re.compile(rb"""<\?xml[^>]{0,80}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UTF8 = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
# Encodings that Python writes as the standards say, and quickly.
_WRITABLE = re.compile(r"iso-8859-\d{1,2}|windows-125\d|utf-(?:16|32)(?:le|be)?", re.IGNORECASE)


def mode_of(content_type: str | None) -> Mode:
    """The mode of a message, which its Content-Type alone decides (HTTP binding 3, NATS binding 3).

    Raises InvalidEvent (``unsupported``) for an event format that is not JSON in UTF-8.
    """
    media = _media(content_type)
    if not media.startswith("application/cloudevents"):
        return "binary"
    batch = media.startswith("application/cloudevents-batch")
    kind = "application/cloudevents-batch" if batch else "application/cloudevents"
    if media not in (kind, f"{kind}+json"):
        raise InvalidEvent("unsupported", f"{media[:64]} is not supported; send {kind}+json")
    encoding = declared_encoding(content_type, b"")
    if encoding is not None:
        raise InvalidEvent("unsupported", f"charset {encoding[:32]} is not supported; send utf-8")
    return "batch" if batch else "structured"


def is_json_content(content_type: str | None) -> bool:
    """Whether a media type means JSON: subtype ``json`` or ``+json``. None means JSON too."""
    if content_type is None or content_type == "application/json":
        return True
    subtype = _media(content_type).rpartition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def is_text_content(content_type: str | None) -> bool:
    """Whether a payload of this type, which is not JSON, is text."""
    media = _media(content_type)
    return media.startswith("text/") or media.endswith(("xml", "javascript", "yaml"))


def declared_encoding(content_type: str | None, body: bytes) -> str | None:
    """The declared encoding of a payload's text; None if that is UTF-8 or not declared.

    It is declared by ``charset``, or in XML by the XML declaration (RFC 7303, 3).
    """
    charset = _CHARSET.search(content_type or "")
    if charset is not None:
        name = charset[1].lower()
    elif body[:5] == b"<?xml" and _media(content_type).endswith("xml"):
        declared = _XML_ENCODING.match(body)
        name = declared[1].decode().lower() if declared else ""
    else:
        return None
    return None if name in _UTF8 or not name else name


def text_as_declared(content_type: str | None, text: bytes) -> bytes:
    """Converts text from UTF-8 to the encoding that its content type or XML declaration declares.

    Raises ValueError if that is not possible.
    """
    encoding = declared_encoding(content_type, text)
    if encoding is None:
        return text
    if _WRITABLE.fullmatch(encoding) is None:
        raise ValueError(f"text cannot be encoded as {encoding[:40]}")
    try:
        return text.decode().encode(encoding)
    except LookupError:
        raise ValueError(f"text cannot be encoded as {encoding}") from None


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
