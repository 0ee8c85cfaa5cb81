"""Errors as problem details (RFC 9457)."""

import json
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError
from starlette.responses import Response

from event_gateway.api.server import problem_types
from event_gateway.api.server.problem_types import ProblemType, general_type
from event_gateway.audit.trail import NotRecorded
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.event_log import (
    LogFull,
    LogUnavailable,
    NotConfirmed,
    NotTaken,
    TooLarge,
)
from event_gateway.broker.provision import ProvisionError
from event_gateway.config.request_bodies import InvalidBody
from event_gateway.core.access.sealing import CannotOpen, CannotSeal
from event_gateway.core.errors import (
    AlreadyExists,
    BeingDeleted,
    ChangedInBetween,
    Conflict,
    InvalidDefinition,
    NewerFormat,
    NotRegistered,
)
from event_gateway.state.condition import UNREACHABLE, condition_of

MAX_DETAIL = 8192  # characters; texts of clients may be part of it
CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An error answer. ``kind``: its type, or a status for the general type of that; ``members``
    are further members of the problem object."""

    def __init__(
        self,
        kind: ProblemType | int,
        detail: str,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.kind = general_type(kind) if isinstance(kind, int) else kind
        self.detail, self.headers, self.members = detail, headers, members

    @property
    def status(self) -> int:
        """The status of the answer."""
        return self.kind.status

    def response(self) -> Response:
        """The problem as an HTTP response."""
        long = len(self.detail) > MAX_DETAIL
        detail = f"{self.detail[:MAX_DETAIL]}…" if long else self.detail
        body = problem_object(self.kind, detail) | self.members
        return Response(
            json.dumps(body), self.status, headers=self.headers, media_type=CONTENT_TYPE
        )


def problem_object(kind: ProblemType, detail: str) -> dict[str, Any]:
    """The members that every problem object has."""
    return {"type": kind.uri, "title": kind.title, "status": kind.status, "detail": detail}


def problem_of(error: Exception) -> Problem:
    """The answer to an error of one of the classes in :data:`HANDLED`; raises others again."""
    for kind, make in _KINDS:
        if isinstance(error, kind):
            return make(error)
    raise error


def _invalid(error: InvalidBody) -> Problem:
    errors = [{"key": key, "detail": reason} for key, reason in error.problems]
    return invalid(422, error.detail, errors, error.more)


def invalid(status: int, detail: str, errors: list[dict[str, Any]], more: int) -> Problem:
    """A problem with a list of mistakes; ``more``: how many others there are."""
    members: dict[str, Any] = {"errors_omitted": more} if more else {}
    return Problem(status, detail, errors=errors, **members)


def unavailable(what: str) -> Problem:
    """503: NATS, Redis or another process cannot be reached; the client should retry."""
    return Problem(503, f"{what} cannot be reached", {"Retry-After": "2"})


def _not_confirmed(_error: NotConfirmed) -> Problem:
    detail = (
        "NATS did not confirm in time: the event may have been taken or not. Send it again with "
        "the same source and id: if it was taken, it is recognised, and not delivered twice"
    )
    kind = problem_types.NOT_CONFIRMED
    return Problem(kind, detail, {"Retry-After": "2"}, outcome="unknown")


def _not_taken(_error: NotTaken) -> Problem:
    detail = "NATS cannot be reached: the event was not taken, send it again"
    return Problem(problem_types.NOT_TAKEN, detail, {"Retry-After": "2"}, outcome="not taken")


def _not_recorded(error: NotRecorded) -> Problem:
    detail = f"the audit log cannot be written, and nothing was changed: {error}"
    return Problem(problem_types.NOT_RECORDED, detail, {"Retry-After": "2"})


def _redis(error: RedisError) -> Problem:
    condition = condition_of(error)
    if condition == UNREACHABLE:
        return unavailable("Redis")
    return Problem(503, f"R{condition[1:]}", {"Retry-After": "2"})


_KINDS: tuple[tuple[type[Exception], Callable[[Any], Problem]], ...] = (
    (Problem, lambda error: error),
    (NotRegistered, lambda error: Problem(404, str(error))),
    (AlreadyExists, lambda error: Problem(problem_types.ALREADY_EXISTS, str(error))),
    (BeingDeleted, lambda error: Problem(problem_types.BEING_DELETED, str(error))),
    (ChangedInBetween, lambda error: Problem(problem_types.CHANGED_IN_BETWEEN, str(error))),
    (Conflict, lambda error: Problem(409, str(error))),
    (CannotSeal, lambda error: Problem(409, str(error))),
    (CannotOpen, lambda error: Problem(409, str(error))),
    (InvalidBody, _invalid),
    (InvalidDefinition, lambda error: _invalid(InvalidBody([(error.key, error.detail)]))),
    (ProvisionError, lambda error: Problem(422, str(error))),
    (NewerFormat, lambda error: Problem(409, str(error))),
    (TooLarge, lambda error: Problem(413, str(error))),
    (LogFull, lambda error: Problem(507, f"the log is full: {error}", {"Retry-After": "60"})),
    (NotConfirmed, _not_confirmed),
    (NotTaken, _not_taken),
    (NotRecorded, _not_recorded),
    (RedisError, _redis),
    *((kind, lambda _: unavailable("NATS")) for kind in (LogUnavailable, *BrokerError)),
)
HANDLED = tuple(kind for kind, _ in _KINDS)  # the others are bugs: 500
