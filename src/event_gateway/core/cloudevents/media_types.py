"""Media types: the CloudEvents mode of a message, and the kind and encoding of its payload."""

import codecs
import re
from functools import lru_cache
from typing import Literal

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"

Mode = Literal["structured", "batch", "binary"]

# RFC 6838, 4.2 for the names; RFC 9110, 5.6.6 and 8.3.1 for the parameters.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_PARAMETER = (
    r"[A-Za-z0-9!#$%&'*+.^_`|~-]+="
    r"(?:[A-Za-z0-9!#$%&'*+.^_`|~-]+|\"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*+\")"
)
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?:[ \t]*+;[ \t]*+(?:{_PARAMETER})?)*+")
_MAX_CACHED = 256  # characters
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
# An XML declaration stands at the very beginning (XML 1.0, 2.8).
_XML_ENCODING = re.compile(rb"""<\?xml[^>]{0,80}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UTF8 = frozenset(("utf-8", "utf8", "us-ascii", "ascii"))
# Encodings that Python writes as the standards say, and quickly.
_WRITABLE = re.compile(r"iso-8859-\d{1,2}|windows-125\d|utf-(?:16|32)(?:le|be)?", re.IGNORECASE)


def is_media_type(text: str) -> bool:
    """Whether it is a media type: names by RFC 6838, parameters by RFC 9110, all in ASCII."""
    return _is_media_type(text) if len(text) <= _MAX_CACHED else _matches(text)


@lru_cache(maxsize=1024)
def _is_media_type(text: str) -> bool:
    return _matches(text)


def _matches(text: str) -> bool:
    return _MEDIA_TYPE.fullmatch(text) is not None


def check_content_type(event: Event) -> None:
    """Refuses an event from outside whose datacontenttype is no media type. Raises InvalidEvent.

    The log may hold such events of an earlier version, which are still delivered.
    """
    content_type = event.datacontenttype
    if content_type is None or content_type == "application/json":
        return
    if not is_media_type(content_type):
        shown = ascii(content_type[:64])
        raise InvalidEvent(
            "invalid", f"datacontenttype {shown} is no media type (RFC 6838), such as text/plain"
        )


def mode_of(content_type: str | None) -> Mode:
    """The mode of a message, which its Content-Type alone decides (HTTP binding 3, NATS binding 3).

    Raises InvalidEvent (``unsupported``) for an event format that is not JSON in UTF-8.
    """
    if content_type == STRUCTURED:
        return "structured"
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
    return text if encoding is None else _encoded(text.decode(), encoding)


def json_as_declared(content_type: str | None, text: bytes) -> bytes:
    """As :func:`text_as_declared`, for JSON: what the encoding does not have is escaped."""
    if content_type is None or ";" not in content_type:
        return text
    encoding = declared_encoding(content_type, b"")
    if encoding is None or _WRITABLE.fullmatch(encoding) is None:
        return text  # RFC 8259, 11: a charset that is not known means nothing for JSON
    return _encoded(text.decode(), encoding, _ESCAPED)


def json_in_utf8(content_type: str | None, body: bytes) -> bytes | None:
    """A body of a JSON content type in UTF-8; None if it is not text in the encoding that the
    content type declares, or if it would not come back unchanged from :func:`json_as_declared`.

    The caller checks whether it is JSON.
    """
    encoding = declared_encoding(content_type, b"")
    if encoding is None:
        return body
    try:
        if _WRITABLE.fullmatch(encoding) is None:
            return body if body.isascii() and b"\0" not in body else None
        text = body.decode(encoding)
        return text.encode() if _encoded(text, encoding) == body else None
    except (ValueError, LookupError):
        return None


def _encoded(text: str, encoding: str, errors: str = "strict") -> bytes:
    if _WRITABLE.fullmatch(encoding) is None:
        raise ValueError(f"text cannot be encoded as {encoding[:40]}")
    try:
        return text.encode(encoding, errors)
    except LookupError:
        raise ValueError(f"text cannot be encoded as {encoding}") from None


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Escapes characters as JSON does, where an encoding does not have them (RFC 8259, 7)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2)), error.end


_ESCAPED = "event-gateway-json"
codecs.register_error(_ESCAPED, _escape)


def _media(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()
