"""The types of problems (RFC 9457) that the API answers with: the one table of them.

The member ``type`` of a problem is its path, ``/problems/CODE``, at which the gateway describes it.
``docs/reference/problems.md`` and the OpenAPI document are made of this table.
"""

from dataclasses import dataclass

PATH = "/problems"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem. ``code`` never changes; ``meaning``: what has happened; ``remedy``: what
    the caller should do."""

    code: str
    status: int
    title: str
    meaning: str
    remedy: str

    @property
    def uri(self) -> str:
        """The member ``type``, a reference relative to the gateway's own address."""
        return f"{PATH}/{self.code}"


def _type(code: str, status: int, title: str, meaning: str, remedy: str) -> ProblemType:
    kind = ProblemType(code, status, title, meaning, remedy)
    assert code not in TYPES, code
    TYPES[code] = kind
    return kind


TYPES: dict[str, ProblemType] = {}  # by code, in the order of the page

BAD_REQUEST = _type(
    "bad-request", 400, "Bad request",
    "The request cannot be read: it is not valid HTTP, or its body ended early.",
    "Correct the client; `detail` says what is wrong.",
)  # fmt: skip
MALFORMED_BODY = _type(
    "malformed-body", 400, "Malformed body",
    "The body is not JSON (or YAML, where that is taken), or not UTF-8.",
    "Correct the body; `detail` has the place.",
)  # fmt: skip
BAD_CURSOR = _type(
    "bad-cursor", 400, "Bad cursor",
    "The parameter `cursor` is no cursor of this list.",
    "Begin with the first page, without a cursor. Never make or change a cursor.",
)  # fmt: skip
BAD_HEADER = _type(
    "bad-header", 400, "Bad header",
    "A header of the request cannot be read, such as `If-Match` or `Idempotency-Key`.",
    "Correct the header; `detail` says how it is written.",
)  # fmt: skip
UNAUTHENTICATED = _type(
    "unauthenticated", 401, "Not authenticated",
    "The request does not prove who sends it: it has no credential, or one that is not valid.",
    "Send `Authorization: Bearer KEY`; [Access](../guides/access.md) has the other ways.",
)  # fmt: skip
FORBIDDEN = _type(
    "forbidden", 403, "Forbidden",
    "The caller may not do this with the resource, or with the values that it has sent.",
    "Ask an operator, or send what `detail` says the caller may use.",
)  # fmt: skip
MISSING_SCOPE = _type(
    "missing-scope", 403, "Missing scope",
    "The caller lacks the scope that the operation needs, or its scope is narrowed.",
    "Use a key with the scope that `detail` names: [Scopes](scopes.md).",
)  # fmt: skip
NOT_FOUND = _type(
    "not-found", 404, "Not found",
    "There is no such resource, or the caller may not know of it.",
    "Check the id and the namespaces of the key.",
)  # fmt: skip
NO_SUCH_PATH = _type(
    "no-such-path", 404, "No such path",
    "The API has nothing at this path.",
    "Check the path against `/openapi.json`; no path ends with a slash.",
)  # fmt: skip
METHOD_NOT_ALLOWED = _type(
    "method-not-allowed", 405, "Method not allowed",
    "The path does not have the method.",
    "The header `Allow` lists those that it has.",
)  # fmt: skip
TIMEOUT = _type(
    "timeout", 408, "Timeout",
    "The request did not arrive in time.",
    "Send it again.",
)  # fmt: skip
CONFLICT = _type(
    "conflict", 409, "Conflict",
    "The request contradicts the state of the resource, or a limit is reached.",
    "`detail` says what stands against it.",
)  # fmt: skip
ALREADY_EXISTS = _type(
    "already-exists", 409, "Already exists",
    "The id or the name is taken.",
    "Choose another, or change what exists.",
)  # fmt: skip
BEING_DELETED = _type(
    "being-deleted", 409, "Being deleted",
    "The resource is being deleted; its id is free once that is done.",
    "Wait, and send the request again.",
)  # fmt: skip
MANAGED_BY_FILE = _type(
    "managed-by-file", 409, "Managed by the configuration file",
    "The resource comes from the configuration file, and is read-only here.",
    "Change it in the file, and reload.",
)  # fmt: skip
WOULD_LOSE = _type(
    "would-lose", 409, "Something would be lost",
    "The configuration file would lose deliveries that wait, or messages of a stream. Nothing was "
    "changed; `plan` has each step with what it would lose.",
    "Change the file, or send `force`: [Declared state](../guides/declared-state.md).",
)  # fmt: skip
CHANGED_IN_BETWEEN = _type(
    "changed-in-between", 409, "Changed in between",
    "Another caller changed the resource while this request was carried out. Nothing was changed.",
    "Read the resource again and repeat the change.",
)  # fmt: skip
PRECONDITION_FAILED = _type(
    "precondition-failed", 412, "Precondition failed",
    "The resource is not, or not any more, the one that `If-Match` or `If-None-Match` names. "
    "Nothing was changed.",
    "Read the resource with its `ETag` again, and repeat the change with that.",
)  # fmt: skip
TOO_LARGE = _type(
    "too-large", 413, "Too large",
    "The body, an event or a batch is over a limit.",
    "Send less at a time; `detail` has the limit.",
)  # fmt: skip
URL_TOO_LONG = _type(
    "url-too-long", 414, "URL too long",
    "The URL is over the limit.",
    "Shorten the query.",
)  # fmt: skip
UNSUPPORTED_MEDIA_TYPE = _type(
    "unsupported-media-type", 415, "Unsupported media type",
    "The gateway does not take this content type or content encoding here.",
    "`detail` says what it takes.",
)  # fmt: skip
EXPECTATION_FAILED = _type(
    "expectation-failed", 417, "Expectation failed",
    "The header `Expect` has something other than `100-continue`.",
    "Leave the header out.",
)  # fmt: skip
INVALID = _type(
    "invalid", 422, "Invalid",
    "The request can be read, and a value in it is not valid.",
    "`errors` names each value by its key, or by its position in a batch.",
)  # fmt: skip
IDEMPOTENCY_KEY_REUSED = _type(
    "idempotency-key-reused", 422, "Idempotency key reused",
    "The `Idempotency-Key` belongs to an earlier request with another payload.",
    "Use a new key for each new request.",
)  # fmt: skip
IDEMPOTENT_REQUEST_RUNS = _type(
    "idempotent-request-runs", 409, "The first request still runs",
    "A request with this `Idempotency-Key` is being carried out, or its process has ended before "
    "it could record the answer.",
    "Wait for the seconds in `Retry-After`, and send it again.",
)  # fmt: skip
UPGRADE_REQUIRED = _type(
    "upgrade-required", 426, "Upgrade required",
    "The path speaks WebSocket.",
    "Connect with a WebSocket client, and check that proxies pass the upgrade on.",
)  # fmt: skip
TOO_MANY_REQUESTS = _type(
    "too-many-requests", 429, "Too many requests",
    "The caller has sent more requests, or has more connections, than it may.",
    "Wait for the seconds in `Retry-After`.",
)  # fmt: skip
TOO_MANY_FAILED_LOGINS = _type(
    "too-many-failed-logins", 429, "Too many failed logins",
    "The address, or the key, has failed to authenticate too often.",
    "Correct the credential, and wait for the seconds in `Retry-After`.",
)  # fmt: skip
HEADERS_TOO_LARGE = _type(
    "headers-too-large", 431, "Headers too large",
    "The headers are over the limit.",
    "Send fewer or shorter headers.",
)  # fmt: skip
INTERNAL_ERROR = _type(
    "internal-error", 500, "Internal error",
    "A fault of the gateway.",
    "The gateway's log has the details, under the id in `X-Request-Id`. Please report it.",
)  # fmt: skip
NOT_IMPLEMENTED = _type(
    "not-implemented", 501, "Not implemented",
    "The gateway does not implement the method or the transfer coding.",
    "Use a method of the API; the only transfer coding is `chunked`.",
)  # fmt: skip
UNAVAILABLE = _type(
    "unavailable", 503, "Unavailable",
    "NATS, Redis, or another process of the gateway cannot be reached.",
    "Wait for the seconds in `Retry-After`, and send the request again.",
)  # fmt: skip
SHUTTING_DOWN = _type(
    "shutting-down", 503, "Shutting down",
    "This process of the gateway shuts down, and takes no more of this.",
    "Connect again, to another process or once it has restarted.",
)  # fmt: skip
NO_CONNECTION_LEFT = _type(
    "no-connection-left", 503, "No connection left",
    "The process, or the client's address, has all the connections that it may have.",
    "Reuse connections; wait for the seconds in `Retry-After`.",
)  # fmt: skip
NOT_TAKEN = _type(
    "event-not-taken", 503, "Event not taken",
    "NATS cannot be reached: the event was not taken.",
    "Send it again, with the same source and id.",
)  # fmt: skip
NOT_CONFIRMED = _type(
    "event-not-confirmed", 503, "Event not confirmed",
    "NATS did not confirm in time: the event may have been taken or not.",
    "Send it again with the same source and id: if it was taken, it is recognised.",
)  # fmt: skip
NOT_RECORDED = _type(
    "not-recorded", 503, "Not recorded",
    "The audit log cannot be written, so nothing was changed.",
    "Wait for the seconds in `Retry-After`, and send the request again.",
)  # fmt: skip
HTTP_VERSION = _type(
    "http-version-not-supported", 505, "HTTP version not supported",
    "The gateway speaks HTTP/1.1 and HTTP/1.0.",
    "Configure the client, or the proxy before the gateway.",
)  # fmt: skip
STORAGE_FULL = _type(
    "storage-full", 507, "Storage is full",
    "The log of events is at its limit, and drops no event for a new one.",
    "Raise `ingest.max_bytes`, or shorten `ingest.retention`; publishers wait and send again.",
)  # fmt: skip

# What a problem is of which nothing more is known than its status: the first type of the status.
_GENERAL: dict[int, ProblemType] = {}
for _each in TYPES.values():
    _GENERAL.setdefault(_each.status, _each)
_GENERAL[503] = UNAVAILABLE


def general_type(status: int) -> ProblemType:
    """The general type of a status. Raises LookupError if the table has none."""
    return _GENERAL[status]


def types_of(status: int) -> list[ProblemType]:
    """All types of a status, the general one first."""
    return [kind for kind in TYPES.values() if kind.status == status]
