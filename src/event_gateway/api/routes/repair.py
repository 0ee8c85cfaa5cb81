"""``/v1/repair``: where Redis has lost all records and ``repair: manual`` waits for people."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.routing.repair import Repair

router = APIRouter(prefix="/v1/repair", tags=["repair"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairParts:
    """What the route uses."""

    repair: Repair


Parts = Annotated[RepairParts, Depends(provided(RepairParts))]


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    reread: bool


@router.post("", status_code=202)
async def repair(parts: Parts, body: dict[str, Any] = Body(...)) -> dict[str, Any]:
    """``{"reread": true}``: what the log holds is delivered again, but for what is too old;
    ``{"reread": false}``: nothing is, and what had not been delivered yet is given up."""
    streams = parts.repair.decide(reread=body_as(_Wanted, body).reread)
    if not streams:
        raise Problem(409, "nothing waits for it")
    return {"streams": streams}
