"""``/v1/caller``: who the caller is, and what it may do."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from event_gateway.api.access.callers import AnyCaller
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.access import CallerAnswer
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.core.text.times import rfc3339_or_none

router = APIRouter(prefix="/v1/caller", tags=["keys"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerParts:
    """What the route uses. ``version``: the gateway's."""

    version: str


Parts = Annotated[CallerParts, Depends(provided(CallerParts))]


@router.get("", responses=answers(CallerAnswer))
async def show_caller(parts: Parts, caller: AnyCaller) -> dict[str, Any]:
    """Who the caller is, what its credential allows, and until when.

    A client offers with it only what the caller may do. ``scopes`` has every scope that the caller
    may use: also those that another one includes, and with ``admin`` all of them.
    """
    return {
        "name": caller.name,
        "method": caller.method,
        "id": caller.id,
        "scopes": caller.allowed,
        "namespaces": _listed(caller.namespaces),
        "types": _listed(caller.types),
        "streams": _listed(caller.streams),
        "operator": caller.is_operator,
        "expires_at": rfc3339_or_none(caller.expires_at),
        "version": parts.version,
    }


def _listed(limit: tuple[str, ...] | None) -> list[str] | None:
    return None if limit is None else list(limit)
