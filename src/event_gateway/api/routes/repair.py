"""``/v1/repair``: decides what happens after Redis lost all records, with ``repair: manual``, and
confirms that NATS has lost the log."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.deliveries import Reread
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.routing.lost_log import LostLog
from event_gateway.routing.repair import Repair

router = APIRouter(prefix="/v1/repair", tags=["repair"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairParts:
    """What the route uses."""

    repair: Repair
    lost_log: LostLog


Parts = Annotated[RepairParts, Depends(provided(RepairParts))]


class _Decision(msgspec.Struct, forbid_unknown_fields=True):
    reread: bool


Decision = Annotated[dict[str, Any], Body(), SchemaOf(_Decision)]


@router.post("", status_code=202, responses=answers(Reread, 202, 409))
async def decide_repair(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("repair.decide", "repair")],
    body: Decision,
) -> dict[str, Any]:
    """``{"reread": true}``: delivers all events in the log again, except those past their deadline.
    ``{"reread": false}``: delivers none; deliveries that were pending are lost."""
    reread = body_as(_Decision, body).reread
    call.about(after={"reread": reread})
    streams = parts.repair.decide(reread=reread)
    if not streams:
        raise Problem(409, "no repair waits for a decision")
    return {"streams": streams}


@router.post("/loss", status_code=200, responses=answers(Reread, 200, 409))
async def confirm_loss(
    parts: Parts, caller: Operator, call: Annotated[Call, audited("repair.confirm_loss", "repair")]
) -> dict[str, Any]:
    """Confirms that somebody knows that NATS has lost the log: ends the reason ``log_lost`` for
    which the health is degraded, and changes nothing else."""
    streams = await parts.lost_log.confirm()
    call.about(after={"streams": streams})
    if not streams:
        raise Problem(409, "no loss waits to be confirmed")
    return {"streams": streams}
