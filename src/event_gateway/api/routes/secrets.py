"""``/v1/secrets``: secrets by name. They are set and used, and never shown."""

from typing import Any

from fastapi import APIRouter, Body, Query, Request, Response

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.context import Context
from event_gateway.api.server.pages import page_of
from event_gateway.api.server.problems import Problem
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import parse_duration

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], route_class=GuardedRoute)

OVERLAP = 86400.0  # seconds for which a value that was replaced holds, where nothing is said


@router.get("")
async def list_secrets(
    request: Request, limit: int = Query(100, ge=1, le=1000), cursor: str | None = None
) -> dict[str, Any]:
    """What is in the sealed store, and what webhooks name: where each comes from, who uses it."""
    context: Context = request.app.state.context
    users = context.sealed.users()
    page, more = page_of(context.registry.secrets.keys() | users.keys(), limit, cursor)
    items = [_shown(context, name, users.get(name, [])) for name in page]
    return {"items": items, "next": more}


@router.post("/reseal")
async def reseal(request: Request) -> dict[str, Any]:
    """Seals everything with the first of the sealing keys, so that the others can be given up."""
    context: Context = request.app.state.context
    return {"resealed": await context.sealed.reseal()}


@router.put("/{name}")
async def set_secret(
    request: Request, response: Response, name: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Sets a secret: ``{"value": "…"}``. It is in force everywhere when this is answered."""
    context: Context = request.app.state.context
    if await context.sealed.set(name, _value(body, {"value"})):
        response.status_code = 201
    return shown(context, name)


@router.post("/{name}/rotate")
async def rotate_secret(
    request: Request, name: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Puts a value in the place of the present one: ``{"value": "…", "overlap": "24h"}``.

    Signatures are made with both until the overlap is over; all else uses the new one at once.
    """
    context: Context = request.app.state.context
    await rotate(context, name, body)
    return shown(context, name)


@router.delete("/{name}", status_code=204)
async def delete_secret(request: Request, name: str) -> None:
    """Deletes a secret that no webhook names."""
    context: Context = request.app.state.context
    await context.sealed.remove(name)


async def rotate(context: Context, name: str, body: dict[str, Any]) -> None:
    """Does what a rotation's body says. Raises Problem, and what the store raises."""
    value = _value(body, {"value", "overlap"})
    overlap = OVERLAP
    if (said := body.get("overlap")) is not None:
        try:
            overlap = parse_duration(said if isinstance(said, str) else str(said))
        except ValueError as error:
            raise InvalidDefinition("overlap", str(error)) from None
    origin = context.secrets.origin(name)
    if origin in ("environment", "file"):
        raise Problem(409, f"the secret {name} comes from the {origin}: change it there (of "
                           "signing keys there may be several, separated by spaces)")  # fmt: skip
    await context.sealed.rotate(name, value, overlap)


def _value(body: dict[str, Any], known: set[str]) -> str:
    if not body.keys() <= known:  # which ones is not said: a secret may stand in their place
        raise InvalidDefinition("", f"unknown key; there are: {', '.join(sorted(known))}")
    value = body.get("value")
    if not isinstance(value, str):
        raise InvalidDefinition("value", "must be there, as text")
    return value


def shown(context: Context, name: str) -> dict[str, Any]:
    """A secret as the API shows it: all but its value."""
    return _shown(context, name, context.sealed.users().get(name, []))


def _shown(context: Context, name: str, users: list[str]) -> dict[str, Any]:
    sealed = context.registry.secrets.get(name)
    until = None if sealed is None else context.sealed.until(name)
    return {
        "name": name,
        "from": context.secrets.origin(name),
        "sealed": sealed and {
            "updated_at": rfc3339(sealed.updated_at),
            "key_id": sealed.key_id,
            "readable": until is not None,
            "former_until": [rfc3339(one) for one in until or ()],
        },
        "used_by": users[:100],
    }  # fmt: skip
