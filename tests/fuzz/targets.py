"""All targets by name."""

from collections.abc import Callable

from fuzz import (
    events,
    exports,
    http_requests,
    http_responses,
    selections,
    sources,
    templates,
    websocket,
)

TARGETS: dict[str, Callable[[], None]] = {
    "structured": events.structured_mode,
    "binary": events.binary_mode,
    "batch": events.batch_mode,
    "nats": events.nats_message,
    "filters": selections.filters,
    "expressions": selections.expressions,
    "cesql": selections.cesql,
    "templates": templates.any_template,
    "source-requests": sources.any_request,
    "source-signatures": sources.altered_vector,
    "http-requests": http_requests.any_request,
    "repeated-heads": http_requests.repeated_heads,
    "http-responses": http_responses.any_response,
    "repeated-responses": http_responses.repeated_response,
    "export-lines": exports.any_lines,
    "export-messages": exports.any_message,
    "export-pieces": exports.any_pieces,
    "websocket-frames": websocket.any_frames,
    "websocket-messages": websocket.any_message,
}
