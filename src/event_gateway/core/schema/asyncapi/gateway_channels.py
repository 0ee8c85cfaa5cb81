"""The ways into and out of the gateway, as they are in an AsyncAPI document."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

STREAM_NAME = "^[A-Za-z0-9_-]{1,64}$"


class Surroundings(msgspec.Struct, frozen=True):
    """Where a reader of the document finds the gateway: ``host`` (with its port) of the API,
    whether it speaks TLS, and the named streams that the reader may read."""

    host: str = "localhost:8080"
    tls: bool = False
    streams: Sequence[str] = ()


def servers(around: Surroundings) -> dict[str, Any]:
    """The servers: NATS, which the operators know, and the API over HTTP and WebSocket."""
    secure = "s" if around.tls else ""
    security = [{"$ref": "#/components/securitySchemes/key"}]
    return {
        "nats": {
            "host": "{host}", "protocol": "nats",
            "variables": {"host": {"default": "localhost:4222"}},
            "description": "The NATS server or cluster of the gateway.",
        },
        "http": {"host": around.host, "protocol": f"http{secure}", "security": security},
        "websocket": {"host": around.host, "protocol": f"ws{secure}", "security": security},
    }  # fmt: skip


SECURITY_SCHEMES = {
    "key": {"type": "http", "scheme": "bearer",
            "description": "An API key, or a token of an issuer that the gateway trusts."},
}  # fmt: skip


def ways(
    accepted: Iterable[str], every: Iterable[str], around: Surroundings, key_of: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The channels and operations beside those of the event types.

    ``accepted``: the keys of the messages that the gateway takes from publishers, ``every``: those
    of all messages. ``key_of``: the keys of these channels, by their names in :data:`NAMES`.
    """
    taken, given = _messages(accepted), _messages(every)
    channels = {
        "http": {
            "address": "/v1/events", "servers": [_server("http")], "messages": taken,
            "description": "Events over HTTP, in structured, binary or batched mode.",
        },
        "webhooks": {
            "address": None, "messages": given,
            "description": "The endpoint URLs of webhooks. In the transformation standard the body "
            "is the event in structured mode; lifecycle events go to webhooks whose patterns name "
            "their first token.",
        },
        "websocket": {
            "address": "/v1/ws", "servers": [_server("websocket")], "messages": given,
            "description": "Live events. With the subprotocol cloudevents.json each text frame is "
            "an event; without it a frame has the event in its member event.",
            "bindings": {"ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": {
                    "Sec-WebSocket-Protocol": {"type": "string", "const": "cloudevents.json"},
                }},
                "query": {"type": "object", "properties": _query(around)},
            }},
        },
        "sse": {
            "address": "/v1/streams/{stream}/sse", "servers": [_server("http")],
            "messages": given, "parameters": {"stream": _stream(around)},
            "description": "Live events of a named stream as Server-Sent Events: data is the event "
            "in structured mode, id its sequence.",
        },
    }  # fmt: skip
    operations = {
        "http": ("receive", "Publish events over HTTP.", {"http": {"method": "POST"}}),
        "webhooks": ("send", "Deliver events to receivers.", {"http": {"method": "POST"}}),
        "websocket": ("send", "Stream events over WebSocket.", None),
        "sse": ("send", "Stream events as Server-Sent Events.", {"http": {"method": "GET"}}),
    }
    return {key_of[name]: channel for name, channel in channels.items()}, {
        key_of[name]: {
            "action": action, "channel": {"$ref": f"#/channels/{key_of[name]}"},
            "summary": summary,
        } | ({} if bindings is None else {"bindings": bindings})
        for name, (action, summary, bindings) in operations.items()
    }  # fmt: skip


NAMES = {
    "http": "POST_v1_events", "webhooks": "webhooks", "websocket": "GET_v1_ws",
    "sse": "GET_v1_streams_sse",
}  # fmt: skip
"""The channels of :func:`ways`, each with its preferred key."""


def _messages(keys: Iterable[str]) -> dict[str, Any]:
    return {key: {"$ref": f"#/components/messages/{key}"} for key in keys}


def _server(name: str) -> dict[str, str]:
    return {"$ref": f"#/servers/{name}"}


def _stream(around: Surroundings) -> dict[str, Any]:
    known = {"enum": list(around.streams)} if around.streams else {}
    return {"description": "The name of a named stream.", **known}


def _query(around: Surroundings) -> dict[str, Any]:
    stream = {"type": "string", "pattern": STREAM_NAME}
    return {
        "stream": stream | ({"enum": list(around.streams)} if around.streams else {}),
        "subjects": {"type": "string", "description": "In place of a stream: subjects of the log."},
        "from": {"type": "string", "description": "new, first, a sequence or an RFC 3339 time."},
    }
