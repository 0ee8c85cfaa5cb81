"""Errors as problem details (RFC 9457)."""

import json
from typing import Any

from starlette.responses import Response

from event_gateway.config.definitions import InvalidBody

CONTENT_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request", 401: "Not authenticated", 403: "Forbidden", 404: "Not found",
    405: "Method not allowed", 409: "Conflict", 413: "Too large", 415: "Unsupported media type",
    422: "Not acceptable as it is", 500: "Internal error", 503: "Unavailable",
    507: "Storage is full",
}  # fmt: skip


class Problem(Exception):
    """An answer that is an error. ``more`` are further members of the problem object."""

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more

    def response(self) -> Response:
        """The problem as an HTTP response."""
        body = {
            "type": "about:blank",
            "title": _TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        return Response(
            json.dumps(body), self.status, headers=self.headers, media_type=CONTENT_TYPE
        )


def invalid(error: InvalidBody) -> Problem:
    """A definition that cannot be registered, with all that is wrong with it."""
    detail = "; ".join(f"{key}: {reason}".lstrip(": ") for key, reason in error.problems[:10])
    errors = [{"key": key, "detail": reason} for key, reason in error.problems]
    return Problem(422, detail, errors=errors)


def unavailable(what: str) -> Problem:
    """A broker or store is away; the client should come again."""
    return Problem(503, f"{what} cannot be reached right now", {"Retry-After": "2"})
