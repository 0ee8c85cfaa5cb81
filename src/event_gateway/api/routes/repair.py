"""``/v1/repair``: where Redis has lost all records and ``repair: manual`` waits for people."""

from typing import Any

import msgspec
from fastapi import APIRouter, Body, Request

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.context import Context
from event_gateway.api.server.problems import Problem

router = APIRouter(prefix="/v1/repair", tags=["repair"], route_class=GuardedRoute)


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    reread: bool


@router.post("", status_code=202)
async def repair(request: Request, body: dict[str, Any] = Body(...)) -> dict[str, Any]:
    """``{"reread": true}``: what the log holds is delivered again, but for what is too old;
    ``{"reread": false}``: nothing is, and what had not been delivered yet is given up."""
    context: Context = request.app.state.context
    streams = context.repair.decide(reread=body_as(_Wanted, body).reread)
    if not streams:
        raise Problem(409, "nothing waits for it")
    return {"streams": streams}
