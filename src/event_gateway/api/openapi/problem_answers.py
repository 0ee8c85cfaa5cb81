"""Errors in the OpenAPI document: which statuses an operation has, and their schema."""

from typing import Any

from event_gateway.api.server.problem_types import TYPES, types_of
from event_gateway.api.server.problems import CONTENT_TYPE, problem_object

_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "How to prove who calls.",
                               "schema": {"type": "string"}}},
    426: {"Upgrade": {"description": "websocket", "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
    507: _RETRY,
}  # fmt: skip
_text = {"type": "string"}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "enum": [
            kind.uri for kind in TYPES.values()]},
        "title": _text,
        "status": {"type": "integer"},
        "detail": _text,
        "errors": {
            "type": "array",
            "description": "What is wrong, by key of the body, or by position in a batch.",
            "items": {
                "type": "object",
                "properties": {"key": _text, "detail": _text, "index": {"type": "integer"},
                               "reason": _text, "path": _text},
                "required": ["detail"],
            },
        },
        "errors_omitted": {"type": "integer", "description": "How many more errors there are."},
        "outcome": {"enum": ["unknown", "not taken"],
                    "description": "Of an event: whether the log may have it."},
        "reason": _text,
        "path": _text,
        "error_type": _text,
    },
    "required": ["type", "title", "status", "detail"],
}  # fmt: skip


def problem(status: int) -> dict[str, Any]:
    """The description of a response that is a problem: of the types that have this status."""
    kinds = types_of(status)
    described: dict[str, Any] = {
        "description": "\n".join(f"- `{kind.uri}`: {kind.meaning}" for kind in kinds),
        "content": {CONTENT_TYPE: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": problem_object(kinds[0], kinds[0].meaning),
        }},
    }  # fmt: skip
    if status in _HEADERS:
        described["headers"] = _HEADERS[status]
    return described


def usual_statuses(operation: dict[str, Any], path: str, *, guarded: bool) -> set[int]:
    """The statuses that follow from what an operation takes."""
    parameters = operation.get("parameters", [])
    # A body is read, and bounded, also where none is needed.
    statuses = {400, 401, 403, 413, 429, 503} if guarded else set()
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    if "{" in path:
        statuses.add(404)
    if parameters:
        statuses.add(422)
    names = {parameter["name"] for parameter in parameters}
    if names & {"cursor", "if-match", "if-none-match", "idempotency-key"}:
        statuses.add(400)
    if "if-match" in names:
        statuses.add(412)
    if "idempotency-key" in names:
        statuses |= {409, 429, 503}
    return statuses
