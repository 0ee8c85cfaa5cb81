"""Validates the context attributes of an event (CloudEvents 1.0.2, "Context Attributes" and "Type
System")."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent

# Bytes of all names and values together, in UTF-8. An event of 64 KiB must be accepted ("Size
# Limits"), so a single attribute cannot have a lower limit.
MAX_ATTRIBUTES = 65_536
_MAX_PLAIN = MAX_ATTRIBUTES // 4 - 256  # characters: fewer cannot exceed MAX_ATTRIBUTES bytes
_MAX_CACHED = 256  # characters of a URI whose validity is cached

_NAME = re.compile(r"[a-z0-9]+")
_DATE = (
    r"[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
)
_CLOCK = (
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]++)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
# RFC 3339, section 5.6. Events keep the text itself, so nanoseconds and offsets are preserved.
_TIME = re.compile(_DATE + _CLOCK)
_LEAP_DAY = re.compile(r"([0-9]{4})-02-29" + _CLOCK)
# C0 and C1 controls, lone surrogates and noncharacters.
_FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
    + "]"
)

# RFC 3986, appendix A. Possessive quantifiers (``*+``) prevent backtracking, so no text takes long.
_PCT = "%[0-9A-Fa-f]{2}"
_SEGMENT = r"[A-Za-z0-9\-._~!$&'()*+,;=:@]"
_SCHEME = r"[A-Za-z][A-Za-z0-9+\-.]*+:"
_REG_NAME = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|{_PCT})*+"
_AUTHORITY = (
    rf"(?:(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|{_PCT})*+@)?"
    r"(?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]++)|[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
    rf"|{_REG_NAME})(?::[0-9]*+)?"
)
_PATH = rf"(?:(?:{_SEGMENT}|/|{_PCT})*+)"
_REST = rf"(?:\?(?:{_SEGMENT}|[/?]|{_PCT})*+)?(?:#(?:{_SEGMENT}|[/?]|{_PCT})*+)?"
_HIERARCHY = rf"(?://{_AUTHORITY}(?:/{_PATH})?|(?!//){_PATH})"
_URI = re.compile(rf"{_SCHEME}{_HIERARCHY}{_REST}")
# The first segment of a relative reference has no colon: what is before it would be a scheme.
_RELATIVE = re.compile(rf"(?![^/?#]*:){_HIERARCHY}{_REST}")
_NOT_IN_URI = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/?#\[\]%]")


def check_event(event: Event) -> Event:
    """Returns the same event. Raises InvalidEvent, with all faults of its attributes."""
    if plain_size(event):
        return event
    faults = [
        f"{name} is missing or empty"
        for name, value in (("id", event.id), ("source", event.source), ("type", event.type))
        if not value
    ]
    for name in ("subject", "datacontenttype", "dataschema"):
        if getattr(event, name) == "":
            faults.append(f"{name} must not be empty when present")
    if event.extensions.get("partitionkey") == "":
        faults.append("partitionkey must not be empty when present")
    for name in ("id", "source", "type", "subject", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        if value and _FORBIDDEN.search(value):
            faults.append(f"{name} {_NO_CHARACTER}")
    if event.source and not is_uri_reference(event.source):
        faults.append(f"source {_not_uri(event.source, 'URI reference')}")
    if event.dataschema and not is_uri(event.dataschema):
        faults.append(f"dataschema {_not_uri(event.dataschema, 'absolute URI')}")
    if event.time is not None and not is_time(event.time):
        faults.append(f"time {event.time[:64]!r} is no RFC 3339 timestamp, or no date that exists")
    for name, value in event.extensions.items():
        if _NAME.fullmatch(name) is None:
            faults.append(f"{name[:64]!r} is no attribute name: only a-z and 0-9 are allowed")
        elif isinstance(value, str) and _FORBIDDEN.search(value):
            faults.append(f"{name[:64]} {_NO_CHARACTER}")
        if len(faults) > 16:
            break
    if not faults and (size := _size(event)) > MAX_ATTRIBUTES:
        faults.append(
            f"names and values of all attributes have {size} bytes; together they may have "
            f"{MAX_ATTRIBUTES}"
        )
    if faults:
        raise InvalidEvent("invalid", "; ".join(faults[:16]))
    return event


_NO_CHARACTER = "contains a control character or a code point that is not a character"


def plain_size(event: Event) -> int:
    """A fast check of an event's attributes: 0 if they may have a fault, or need the full check.

    Else the length of the shortest JSON object with these attributes, all of them strings, without
    white space and escapes. A data member adds 8 bytes and the length of its value.
    """
    source, subject, content_type = event.source, event.subject, event.datacontenttype
    if not (event.id and source and event.type and is_uri_reference(source)):
        return 0
    text = f"{event.id}{source}{event.type}"
    size = 51  # braces, commas, the names of these three, and specversion with its value
    if subject is not None:
        if not subject:
            return 0
        text += subject
        size += 13
    if content_type is not None:
        if not content_type:
            return 0
        text += content_type
        size += 21
    time = event.time
    if time is not None:
        if _TIME.fullmatch(time) is None:
            return 0
        size += 10 + len(time)
    if event.dataschema is not None:
        if not is_uri(event.dataschema):
            return 0
        text += event.dataschema
        size += 16
    if event.extensions:
        for name, value in event.extensions.items():
            if _NAME.fullmatch(name) is None or (value == "" and name == "partitionkey"):
                return 0
            text += str(value)
            size += 6 + len(name)
    size += len(text)
    return size if size <= _MAX_PLAIN and text.isprintable() else 0


def is_time(text: str) -> bool:
    """Whether it is an RFC 3339 time with a valid date; any minute may have a leap second."""
    if _TIME.fullmatch(text):
        return True
    leap_day = _LEAP_DAY.fullmatch(text)
    if leap_day is None:
        return False
    year = int(leap_day[1])
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def is_uri_reference(text: str) -> bool:
    """Whether it is a URI or a relative reference (RFC 3986, 4.1)."""
    return _is_reference_cached(text) if len(text) <= _MAX_CACHED else _is_reference(text)


def is_uri(text: str) -> bool:
    """Whether it is a URI with a scheme (RFC 3986, 3); it may have a fragment."""
    return _is_uri_cached(text) if len(text) <= _MAX_CACHED else _matches(_URI, text)


def _is_reference(text: str) -> bool:
    return _matches(_URI, text) or _matches(_RELATIVE, text)


@lru_cache(maxsize=4096)
def _is_reference_cached(text: str) -> bool:
    return _is_reference(text)


@lru_cache(maxsize=1024)
def _is_uri_cached(text: str) -> bool:
    return _matches(_URI, text)


def _matches(pattern: re.Pattern[str], text: str) -> bool:
    match = pattern.fullmatch(text) if len(text) <= MAX_ATTRIBUTES else None
    if match is None:
        return False
    address = match.group("ipv6")
    if address is not None:
        try:
            IPv6Address(address)
        except AddressValueError:
            return False
    return True


def _not_uri(text: str, kind: str) -> str:
    character = _NOT_IN_URI.search(text)
    if character is None:
        return f"{text[:64]!r} is no {kind} (RFC 3986)"
    encoded = "".join(f"%{byte:02X}" for byte in character[0].encode("utf-8", "surrogatepass"))
    return (
        f"contains {character[0]!r}, which a {kind} cannot (RFC 3986); it may be percent-encoded, "
        f"as {encoded}"
    )


def _size(event: Event) -> int:
    """Bytes of all names and values."""
    size = len("specversion1.0")
    for name in ("id", "source", "type", "subject", "time", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        if value is not None:
            size += len(name) + len(value.encode())
    for name, value in event.extensions.items():
        size += len(name) + len(str(value).encode())
    return size
