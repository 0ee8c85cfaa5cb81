"""Records calls in the audit log: what changes something, and what is refused to a caller."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from event_gateway.api.access.audited import CALL, Audited
from event_gateway.api.access.request_id import REQUEST_ID
from event_gateway.api.http.peer import PEER
from event_gateway.api.server.dependencies import part_of
from event_gateway.api.server.problems import HANDLED, problem_of
from event_gateway.audit.trail import AuditTrail
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.record import who

# Refusals that the audit log records of every guarded route; it records the others of routes that
# change something, but for 429: those are too many, and counted.
ALWAYS = (401, 403)


class CallRecorder:
    """Records the requests of one route. ``audited``: what it changes, None: nothing; ``name``: of
    the route. A request has its id under REQUEST_ID."""

    __slots__ = ("_audited", "_operation")

    def __init__(self, audited: Audited | None, name: str) -> None:
        self._audited = audited
        self._operation = name if audited is None else audited.operation

    def refused(self, request: Request, principal: Principal | None, error: Exception) -> None:
        """The request was refused before its function could run."""
        status = problem_of(error).status
        if status == 429 or (self._audited is None and status not in ALWAYS):
            return
        part_of(request, AuditTrail).refused(
            None if principal is None else who(principal),
            self._operation,
            "" if self._audited is None else self._audited.resource(request.path_params),
            status,
            client=_client(request),
            request_id=request.scope[REQUEST_ID],
        )

    async def run(
        self,
        request: Request,
        principal: Principal,
        body: Any,
        handle: Callable[[Request], Awaitable[Response]],
    ) -> Response:
        """The answer of the route, before and after which a record is stored if it changes
        something. ``body``: the value of a JSON body.

        Raises NotRecorded before it runs, and what it raises."""
        if self._audited is None:
            return await handle(request)
        trail = part_of(request, AuditTrail)
        call = request.scope[CALL] = await trail.begin(
            who(principal), self._operation,
            self._audited.resource(request.path_params, body),
            client=_client(request), request_id=request.scope[REQUEST_ID],
        )  # fmt: skip
        try:
            response = await handle(request)
        except Exception as error:
            await trail.answered(call, _status_of(error))
            raise
        except BaseException:  # cancelled, as the process ends
            trail.end(call, "failed")
            raise
        await trail.answered(call, response.status_code)
        return response


def _client(request: Request) -> str:
    address: str = request.scope[PEER].client(request.scope["headers"]).address
    return address


def _status_of(error: Exception) -> int:
    if isinstance(error, HANDLED):
        return problem_of(error).status
    if isinstance(error, RequestValidationError):
        return 422
    return error.status_code if isinstance(error, HTTPException) else 500
