"""``/v1/rejected``: input that was set aside because no event could be made of it."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.broker.rejected import NotCaptured, Rejected, RejectedInput
from event_gateway.core.cloudevents.event import Event
from event_gateway.core.errors import InvalidEvent
from event_gateway.core.text.times import rfc3339

router = APIRouter(prefix="/v1/rejected", tags=["rejected"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedParts:
    """What the routes use. ``admit`` raises InvalidEvent for events that the catalog rejects."""

    rejected: RejectedInput
    admit: Callable[[Event], None]


Parts = Annotated[RejectedParts, Depends(provided(RejectedParts))]


@router.get("")
async def list_rejected(
    parts: Parts,
    limit: int = Query(100, ge=1, le=1000),
    cursor: int = Query(1, ge=1, description="``next`` of the page before."),
) -> dict[str, Any]:
    """What was set aside, the oldest first, as it came."""
    found, more = await parts.rejected.page(cursor, limit)
    return {
        "items": [_shown(one) for one in found],
        "next": str(found[-1].seq + 1) if found and more else None,
    }


@router.post("/{seq}/retry", status_code=202)
async def retry_rejected(parts: Parts, seq: int) -> dict[str, int]:
    """Takes it in again; where it still is no event, 422 says why, and it stays set aside."""
    try:
        return {"sequence": await parts.rejected.retry(seq, parts.admit)}
    except KeyError:
        raise Problem(404, f"nothing is set aside at {seq}") from None
    except InvalidEvent as error:
        path: dict[str, Any] = {} if error.path is None else {"path": error.path}
        raise Problem(422, error.detail, reason=error.reason, **path) from None
    except NotCaptured as error:
        raise Problem(409, str(error)) from None


def _shown(one: Rejected) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "seq": one.seq,
        "time": rfc3339(one.time),
        "reason": one.reason,
        "detail": one.detail,
        "path": one.path,
        "subject": one.subject,
        "stream": one.stream,
        "sequence": one.origin_seq,
        "headers": one.headers,
        "cut": one.cut,
    }
    try:
        shown["data"] = one.body.decode()
    except UnicodeDecodeError:
        shown["data_base64"] = base64.b64encode(one.body).decode()
    return shown
