"""Makes the parts of a request, the same for both clients."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from event_gateway import __version__

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def default_headers(key: str) -> dict[str, str]:
    """The headers of every request. ``key``: empty for requests without one."""
    headers = {"user-agent": f"event-gateway-client/{__version__}"}
    return headers | ({"authorization": f"Bearer {key}"} if key else {})


def in_path(text: object) -> str:
    """A name or an id, percent-encoded for a path. ``.`` and ``..`` are encoded too, as clients
    take them for steps in the path (RFC 3986, 5.2.4)."""
    encoded = quote(str(text), safe="")
    return encoded if encoded.strip(".") else encoded.replace(".", "%2E")


def parameters(query: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The query of a request, without parameters that are None. A list is repeated."""
    return {
        name: [_text(item) for item in value] if isinstance(value, list | tuple) else _text(value)
        for name, value in query.items()
        if value is not None
    }


def given(headers: Mapping[str, str | None]) -> dict[str, str]:
    """The headers of a request, without those that are None."""
    return {name: value for name, value in headers.items() if value is not None}


def encoded(body: Any, media_type: str | None) -> tuple[bytes | None, dict[str, str]]:
    """The body and the header that says what it is. A text is sent as YAML, bytes are JSON,
    all else is made JSON."""
    if body is None:
        return None, {}
    if isinstance(body, bytes):
        return body, {"content-type": media_type or "application/json"}
    if isinstance(body, str):
        return body.encode(), {"content-type": media_type or "application/yaml"}
    return json.dumps(body).encode(), {"content-type": media_type or "application/json"}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class EventStream:
    """Reads events from the lines of a Server-Sent Events stream. Blocks with a name, such as
    ``caught_up``, are no events of the stream."""

    def __init__(self) -> None:
        self._seq = 0
        self._data: list[str] = []
        self._named = False

    def take(self, line: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The sequence and the event that a line completes, if it completes one."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and value.isdecimal():
            self._seq = int(value)
        elif name == "data":
            self._data.append(value)
        elif name == "event":
            self._named = True
        elif not line:
            text, self._data = "\n".join(self._data), []
            named, self._named = self._named, False
            if text and not named:
                yield self._seq, json.loads(text)
