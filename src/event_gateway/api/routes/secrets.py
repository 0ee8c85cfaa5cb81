"""``/v1/secrets``: secrets by name. They are set and used, and never shown."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import page_of
from event_gateway.api.server.problems import Problem
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import parse_duration
from event_gateway.secrets.named import Secrets
from event_gateway.secrets.sealed import SealedSecrets

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], route_class=GuardedRoute)

OVERLAP = 86400.0  # seconds for which a value that was replaced holds, where nothing is said


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretParts:
    """What the routes use."""

    registry: Registry
    secrets: Secrets
    sealed: SealedSecrets


Parts = Annotated[SecretParts, Depends(provided(SecretParts))]


@router.get("")
async def list_secrets(
    parts: Parts, limit: int = Query(100, ge=1, le=1000), cursor: str | None = None
) -> dict[str, Any]:
    """What is in the sealed store, and what webhooks name: where each comes from, who uses it."""
    users = parts.sealed.users()
    page, more = page_of(parts.registry.secrets.keys() | users.keys(), limit, cursor)
    items = [_shown(parts, name, users.get(name, [])) for name in page]
    return {"items": items, "next": more}


@router.post("/reseal")
async def reseal(parts: Parts) -> dict[str, Any]:
    """Seals everything with the first of the sealing keys, so that the others can be given up."""
    return {"resealed": await parts.sealed.reseal()}


@router.put("/{name}")
async def set_secret(
    parts: Parts, response: Response, name: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Sets a secret: ``{"value": "…"}``. It is in force everywhere when this is answered."""
    if await parts.sealed.set(name, _value(body, {"value"})):
        response.status_code = 201
    return shown(parts, name)


@router.post("/{name}/rotate")
async def rotate_secret(
    parts: Parts, name: str, body: dict[str, Any] = Body(...)
) -> dict[str, Any]:
    """Puts a value in the place of the present one: ``{"value": "…", "overlap": "24h"}``.

    Signatures are made with both until the overlap is over; all else uses the new one at once.
    """
    await rotate(parts, name, body)
    return shown(parts, name)


@router.delete("/{name}", status_code=204)
async def delete_secret(parts: Parts, name: str) -> None:
    """Deletes a secret that no webhook names."""
    await parts.sealed.remove(name)


async def rotate(parts: SecretParts, name: str, body: dict[str, Any]) -> None:
    """Does what a rotation's body says. Raises Problem, and what the store raises."""
    value = _value(body, {"value", "overlap"})
    overlap = OVERLAP
    if (said := body.get("overlap")) is not None:
        try:
            overlap = parse_duration(said if isinstance(said, str) else str(said))
        except ValueError as error:
            raise InvalidDefinition("overlap", str(error)) from None
    origin = parts.secrets.origin(name)
    if origin in ("environment", "file"):
        raise Problem(409, f"the secret {name} comes from the {origin}: change it there (of "
                           "signing keys there may be several, separated by spaces)")  # fmt: skip
    await parts.sealed.rotate(name, value, overlap)


def _value(body: dict[str, Any], known: set[str]) -> str:
    if not body.keys() <= known:  # which ones is not said: a secret may stand in their place
        raise InvalidDefinition("", f"unknown key; there are: {', '.join(sorted(known))}")
    value = body.get("value")
    if not isinstance(value, str):
        raise InvalidDefinition("value", "must be there, as text")
    return value


def shown(parts: SecretParts, name: str) -> dict[str, Any]:
    """A secret as the API shows it: all but its value."""
    return _shown(parts, name, parts.sealed.users().get(name, []))


def _shown(parts: SecretParts, name: str, users: list[str]) -> dict[str, Any]:
    sealed = parts.registry.secrets.get(name)
    until = None if sealed is None else parts.sealed.until(name)
    return {
        "name": name,
        "from": parts.secrets.origin(name),
        "sealed": sealed and {
            "updated_at": rfc3339(sealed.updated_at),
            "key_id": sealed.key_id,
            "readable": until is not None,
            "former_until": [rfc3339(one) for one in until or ()],
        },
        "used_by": users[:100],
    }  # fmt: skip
