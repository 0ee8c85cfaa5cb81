"""``/v1/streams/{name}/holds``: legal holds on a compliance stream."""

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsWholeStreams
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.streams import HoldAnswer, Holds
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.compliant_stream import Parts, compliant
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.audit.trail import Call
from event_gateway.config.response_bodies import hold_to_json
from event_gateway.core.streams.definition import Hold

router = APIRouter(prefix="/v1/streams/{name}", tags=["compliance"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


class _NewHold(msgspec.Struct, forbid_unknown_fields=True):
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


NewHold = Annotated[dict[str, Any], Body(), SchemaOf(_NewHold)]


@router.get("/holds", responses=answers(Holds, 200, 404, 409))
async def list_holds(parts: Parts, caller: ReadsWholeStreams, name: str) -> dict[str, Any]:
    """The legal holds on a compliance stream."""
    return {"items": [hold_to_json(hold) for hold in compliant(parts, name).holds]}


@router.post("/holds", status_code=201, responses=answers(HoldAnswer, 201, 404, 409))
async def place_hold(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.hold", "stream/{name}")],
    name: str,
    body: NewHold,
) -> dict[str, Any]:
    """Places a legal hold: until it is released, no event leaves the stream, whatever its limits
    are. NATS must have room for that."""
    compliant(parts, name)
    reason = body_as(_NewHold, body).reason
    now = time.time()
    hold = Hold(f"h-{time.time_ns():x}", reason, now, caller.name)
    await parts.holds.place(name, hold)
    call.about(after=hold_to_json(hold))
    return hold_to_json(hold)


@router.delete("/holds/{hold_id}", status_code=204, responses=answers(None, 204, 404, 409))
async def release_hold(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("streams.release", "stream/{name}")],
    name: str,
    hold_id: str,
) -> None:
    """Releases a legal hold. After the last one the events that are beyond the limits leave the
    stream at once, the oldest first."""
    definition = compliant(parts, name)
    before = next((hold for hold in definition.holds if hold.id == hold_id), None)
    await parts.holds.release(name, hold_id)
    call.about(before=None if before is None else hold_to_json(before))
