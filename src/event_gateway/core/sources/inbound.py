"""A request of a third party, and what its body says."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from event_gateway.core.access.client_certificate import ClientCertificate
from event_gateway.core.cloudevents.event import decoded

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
MAX_FIELDS = 1000  # of a form


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """A request to a source. ``target``: path and query as they were sent; ``url``: the same with
    scheme and host; ``headers`` by their names in small letters, repeated ones joined by a comma;
    ``body``: its bytes as they came; ``received_at``: seconds since the epoch; ``certificate``:
    what the sender has shown in the TLS handshake."""

    method: str
    target: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: float
    certificate: ClientCertificate | None = None

    @cached_property
    def media_type(self) -> str:
        """The media type of the body, in small letters and without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @cached_property
    def query(self) -> dict[str, str]:
        """The first value of each parameter of the query string."""
        pairs = parse_qsl(self.target.partition("?")[2], keep_blank_values=True)
        return dict(reversed(pairs))

    @cached_property
    def fields(self) -> list[tuple[str, str]]:
        """The fields of a form, in their order; none if the body is no form."""
        if self.media_type != FORM:
            return []
        try:
            return parse_qsl(self.body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except (ValueError, UnicodeDecodeError):
            return []

    @cached_property
    def content(self) -> Any:
        """The body as a value: JSON; a form as an object; msgspec.UNSET if it is neither. A form
        whose only field is ``payload`` stands for the JSON in it."""
        if self.media_type == FORM:
            text = self._form_payload
            return _object(self.fields) if text is None else json_value(text)
        if self.media_type in ("", "text/plain") and self.body.lstrip()[:1] not in (b"{", b"["):
            return msgspec.UNSET
        return json_value(self.body) if self.body else msgspec.UNSET

    @cached_property
    def json(self) -> bytes | None:
        """The body as JSON text: the bytes that came, or a form written as an object. None if
        :attr:`content` is UNSET."""
        if self.content is msgspec.UNSET:
            return None
        if self.media_type != FORM:
            return self.body
        text = self._form_payload
        return msgspec.json.encode(self.content) if text is None else text

    @cached_property
    def _form_payload(self) -> bytes | None:
        if len(self.fields) == 1 and self.fields[0][0] == "payload":
            text = self.fields[0][1].encode("utf-8", "replace")
            if json_value(text) is not msgspec.UNSET:
                return text
        return None


def _object(fields: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A form as an object; a field that is there several times is a list."""
    made: dict[str, Any] = {}
    for name, value in fields:
        if name not in made:
            made[name] = value
        elif isinstance(made[name], list):
            made[name].append(value)
        else:
            made[name] = [made[name], value]
    return made


def json_value(text: bytes) -> Any:
    """The value of a JSON text in UTF-8; msgspec.UNSET if it is none, or nested too deep."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return msgspec.UNSET
    return decoded(text)


def compact(value: Any) -> bytes:
    """A decoded part of a body as JSON text."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
