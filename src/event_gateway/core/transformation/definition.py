"""Transformations: their definitions, the payload that they get, and their errors."""

import base64
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from event_gateway.core.cloudevents.event import DataKind, Event, decoded
from event_gateway.core.cloudevents.media_types import declared_encoding, is_json_content
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.identifier import ID

BUILT_IN = ("standard", "analytics_format", "crm_format", "siem_format")
SIEM_FORMATS = ("ecs", "cef")
MAX_OUTPUT = 1024 * 1024  # bytes of a body that a template or a function makes
MAX_PLATFORM = 256  # characters
JSON = "application/json"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
_CONTENT_TYPE = re.compile(  # RFC 9110, 8.3.1; names by RFC 6838, 4.2
    rf"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
    rf"(?: *; *{_TOKEN}=(?:{_TOKEN}|{_QUOTED}))*"
)


class TransformationError(Exception):
    """A transformation could not make a body from an event; the text says why.

    ``final``: a retry would fail in the same way.
    """

    def __init__(self, reason: str, *, final: bool = True) -> None:
        super().__init__(reason)
        self.final = final


class TransformationDefinition(msgspec.Struct, frozen=True):
    """A user's transformation: a built-in one with options (``base``), a ``template``, or a
    ``python`` function, ``package.module:function`` or the name of an entry point.

    ``format`` is an option of ``siem_format``, ``platform`` one of ``analytics_format``;
    ``content_type`` is for templates and functions.
    """

    name: str
    base: str | None = None
    format: str | None = None
    platform: str | None = None
    template: Any = msgspec.UNSET
    content_type: str | None = None
    python: str | None = None

    def problems(self) -> Iterator[InvalidDefinition]:
        """All reasons why it cannot be registered, except those in the template or function."""
        if ID.fullmatch(self.name) is None:
            yield InvalidDefinition("name", f"{self.name!r} is not of the form {ID.pattern}")
        if self.name in BUILT_IN:
            yield InvalidDefinition("name", "is built in; give yours another name")
        kinds = [self.base is not None, self.template is not msgspec.UNSET, self.python is not None]
        if sum(kinds) != 1:
            yield InvalidDefinition("name", "needs exactly one of base, template and python")
        if self.base is not None and self.base not in BUILT_IN:
            known = ", ".join(BUILT_IN)
            yield InvalidDefinition("base", f"{self.base!r} is unknown; there are: {known}")
        if self.format is not None and self.base != "siem_format":
            yield InvalidDefinition("format", "is an option of base: siem_format")
        elif self.format not in (None, *SIEM_FORMATS):
            yield InvalidDefinition("format", f"must be {' or '.join(SIEM_FORMATS)}")
        if self.platform is not None and self.base != "analytics_format":
            yield InvalidDefinition("platform", "is an option of base: analytics_format")
        elif self.platform is not None and not 1 <= len(self.platform) <= MAX_PLATFORM:
            yield InvalidDefinition("platform", f"must have 1 to {MAX_PLATFORM} characters")
        if self.content_type is None:
            return
        if self.base is not None:
            yield InvalidDefinition("content_type", "is an option of template and python")
            return
        # A function may make bytes in any encoding.
        yield from content_type_problems(self.content_type, utf8=self.python is None)
        if not (
            self.template is msgspec.UNSET
            or isinstance(self.template, str)
            or is_json_content(self.content_type)
        ):
            yield InvalidDefinition("content_type", "is not JSON: the template must be one text")


def content_type_problems(text: str, *, utf8: bool = True) -> Iterator[InvalidDefinition]:
    """Why a text cannot be the content type of what a transformation makes. ``utf8``: that is
    written in UTF-8."""
    if not is_content_type(text):
        shown = text[:MAX_PLATFORM]
        yield InvalidDefinition("content_type", f"{shown!r} is not a media type (RFC 9110, 8.3)")
    elif utf8 and (encoding := declared_encoding(text, b"")) is not None:
        yield InvalidDefinition("content_type", f"says {encoding[:40]}: the body is in UTF-8")


def is_content_type(text: str) -> bool:
    """Whether a text can be the content type of a request."""
    return len(text) <= 256 and _CONTENT_TYPE.fullmatch(text) is not None


def payload_of(event: Event) -> Any:
    """The payload as the JSON format has it; None where the event has none, msgspec.UNSET where
    Python cannot decode it (too deep)."""
    if event.kind is DataKind.JSON:
        return decoded(event.data)
    if event.kind is DataKind.TEXT:
        return event.data.decode()
    if event.kind is DataKind.BINARY:
        return base64.b64encode(event.data).decode()
    return None


def raw_payload_of(event: Event) -> Any:
    """The payload for an encoder: JSON is not decoded, its bytes are copied as they are."""
    return msgspec.Raw(event.data) if event.kind is DataKind.JSON else payload_of(event)


def as_dict(event: Event) -> dict[str, Any]:
    """A new dict with the event in CloudEvents' JSON format.

    Raises TransformationError where Python cannot decode the payload (too deep).
    """
    out: dict[str, Any] = {"specversion": "1.0", "id": event.id, "source": event.source,
                           "type": event.type}  # fmt: skip
    for name in ("subject", "time", "datacontenttype", "dataschema"):
        value = getattr(event, name)
        if value is not None:
            out[name] = value
    out |= event.extensions
    if event.kind is not DataKind.NONE:
        payload = payload_of(event)
        if payload is msgspec.UNSET:
            raise TransformationError("the payload is nested too deep to be decoded")
        out["data_base64" if event.kind is DataKind.BINARY else "data"] = payload
    return out
