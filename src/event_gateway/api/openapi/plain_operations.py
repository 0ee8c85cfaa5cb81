"""Operations of the OpenAPI document whose routes are not FastAPI's, or are no plain HTTP."""

from typing import Any

from pydantic import TypeAdapter

from event_gateway.api.answers.common import CloudEvent
from event_gateway.api.answers.events import Accepted
from event_gateway.api.answers.secrets import JsonWebKeys
from event_gateway.api.answers.sources import SourceTaken
from event_gateway.api.openapi.described import ERRORS, LIVE, SCOPE
from event_gateway.core.access.scope import EVENTS_PUBLISH, STREAMS_READ
from event_gateway.core.cloudevents.json_format import MAX_BATCH
from event_gateway.core.cloudevents.media_types import BATCH, STRUCTURED

SCHEMAS: dict[str, Any] = {"CloudEvent": CloudEvent, "Accepted": Accepted,
                           "JsonWebKeys": JsonWebKeys, "SourceTaken": SourceTaken}  # fmt: skip
_event = {"$ref": "#/components/schemas/CloudEvent"}


def _header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name, "in": "header", "required": required, "description": description,
        "schema": {"type": "string"},
    }  # fmt: skip


def _json(name: str, description: str) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_HANDSHAKE: dict[str, Any] = {
    "Allow": {"description": "The methods of the path.", "required": True,
              "schema": {"type": "string"}},
    "WebHook-Allowed-Origin": {"schema": {"type": "string"}},
    "WebHook-Allowed-Rate": {"schema": {"type": "string"}},
}  # fmt: skip


def plain_operations(signing_keys: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The operations by path and method. ``signing_keys``: the path of the public keys."""
    return {
        "/v1/events": {
            "post": {
                "tags": ["events"],
                "summary": "Publish Events",
                "operationId": "publish_events",
                "description": "Takes in CloudEvents: one in structured mode, a batch, or one in "
                "binary mode (`ce-` headers; the body is its data). Answered once the log has "
                f"confirmed them. A batch has at most {MAX_BATCH} events, and is checked as a "
                "whole before any of it is written. An event that the log already has, by source "
                "and id, counts as a duplicate.",
                "parameters": [
                    _header(f"ce-{name}", f"Binary mode: the attribute {name}.")
                    for name in ("specversion", "id", "source", "type")
                ],
                "requestBody": {
                    "required": False,
                    "content": {
                        STRUCTURED: {"schema": _event},
                        BATCH: {"schema": {"type": "array", "items": _event,
                                           "maxItems": MAX_BATCH}},
                        "*/*": {"schema": {"description": "Binary mode: the event's data."}},
                    },
                },
                "responses": {"202": _json("Accepted", "The log has the events.")},
                SCOPE: EVENTS_PUBLISH,
                ERRORS: [400, 403, 413, 415, 422, 507],
            },
            "options": {
                "tags": ["events"],
                "summary": "Ask Whether Events May Be Sent",
                "operationId": "show_events_options",
                "description": "The handshake of CloudEvents' webhook specification (4).",
                "parameters": [_header("WebHook-Request-Origin", "Who wants to send events.")],
                "responses": {
                    "200": {
                        "description": "WebHook-Allowed-Origin is there if the origin may send.",
                        "headers": _HANDSHAKE,
                    }
                },
            },
        },
        "/v1/sources/{name}": {
            "post": {
                "tags": ["sources"],
                "summary": "Receive",
                "operationId": "receive_delivery",
                "description": "Takes in a request of a third party, which the source verifies in "
                "place of a key of the gateway. Answered once the log has confirmed its events; a "
                "challenge or a confirmation gets the answer that its provider expects.",
                "parameters": [_NAME],
                "requestBody": {
                    "required": False,
                    "content": {"*/*": {"schema": {"description": "As the provider sends it."}}},
                },
                "responses": {"200": _json("SourceTaken", "The log has the events.")},
                ERRORS: [400, 401, 403, 404, 413, 415, 422, 503],
            },
            "options": {
                "tags": ["sources"],
                "summary": "Ask Whether a Source Takes Events",
                "operationId": "show_source_options",
                "description": "The handshake of CloudEvents' webhook specification (4), for "
                "sources whose provider asks so.",
                "parameters": [
                    _NAME, _header("WebHook-Request-Origin", "Who wants to send events."),
                ],
                "responses": {
                    "200": {
                        "description": "WebHook-Allowed-Origin is there if the origin may send.",
                        "headers": _HANDSHAKE,
                    }
                },
                ERRORS: [404, 503],
            },
        },
        "/v1/ws": {
            "get": {
                "tags": ["streams"],
                "summary": "Subscribe Over WebSocket",
                "operationId": "open_websocket",
                "description": "Upgrades to WebSocket (RFC 6455): JSON messages in text frames, "
                "in both directions. `subscribe` needs the scope of this operation; so do "
                "`unsubscribe` and `ack`; `ping` needs nothing more. With the subprotocol "
                "`cloudevents.json` the query string describes the one subscription. The "
                "connection is refused by a close code: 4401 without a valid credential, 4403 "
                "without the scope.",
                "responses": {"101": {"description": "The connection speaks WebSocket."}},
                SCOPE: STREAMS_READ,
                LIVE: True,
                ERRORS: [400, 404, 426],
            },
        },
        signing_keys: {
            "get": {
                "tags": ["webhooks"],
                "summary": "Public Signing Keys",
                "operationId": "list_signing_keys",
                "description": "The public keys of asymmetric signatures (RFC 7517).",
                "responses": {"200": _json("JsonWebKeys", "The keys.")},
            }
        },
    }  # fmt: skip


def plain_schemas() -> dict[str, Any]:
    """The schemas to which these operations refer."""
    inputs: list[Any] = [(name, "validation", TypeAdapter(kind)) for name, kind in SCHEMAS.items()]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template="#/components/schemas/{model}")
    return dict(schema["$defs"])
