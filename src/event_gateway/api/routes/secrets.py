"""``/v1/secrets``: sets, rotates and lists secrets by name. No answer shows a value."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesSecrets, Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.others import Resealed, SecretAnswer
from event_gateway.api.answers.requests import Rotation, SecretValue
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import page_of
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import parse_duration
from event_gateway.secrets.named import Secrets
from event_gateway.secrets.sealed import SealedSecrets

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], route_class=GuardedRoute)

DEFAULT_OVERLAP = 86400.0  # seconds for which a replaced value stays valid


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretParts:
    """What the routes use."""

    registry: Registry
    secrets: Secrets
    sealed: SealedSecrets


Parts = Annotated[SecretParts, Depends(provided(SecretParts))]
NewValue = Annotated[dict[str, Any], Body(), SchemaOf(SecretValue)]
NextValue = Annotated[dict[str, Any], Body(), SchemaOf(Rotation)]


@router.get("", responses=answers(Page[SecretAnswer]))
async def list_secrets(
    parts: Parts,
    caller: ManagesSecrets,
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
) -> dict[str, Any]:
    """The secrets in the sealed store and those that webhooks name: where each comes from, and
    which webhooks use it."""
    users = parts.sealed.users()
    page, more = page_of(parts.registry.secrets.keys() | users.keys(), limit, cursor)
    items = [_shown(parts, name, users.get(name, [])) for name in page]
    return {"items": items, "next": more}


@router.post("/reseal", responses=answers(Resealed, 200, 409))
async def reseal(
    parts: Parts, caller: Operator, call: Annotated[Call, audited("secrets.reseal", "secret")]
) -> dict[str, Any]:
    """Seals all secrets with the first sealing key, so that the other keys can be removed."""
    resealed = {"resealed": await parts.sealed.reseal()}
    call.about(after=resealed)
    return resealed


@router.put("/{name}", responses=answers(SecretAnswer, 200, 409) | answers(SecretAnswer, 201))
async def set_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.set", "secret/{name}")],
    response: Response,
    name: str,
    body: NewValue,
) -> dict[str, Any]:
    """Sets a secret: ``{"value": "…"}``. All processes use it once this is answered."""
    before = _sealed(parts, name)
    if await parts.sealed.set(name, _value(body, {"value"})):
        response.status_code = 201
    after = shown(parts, name)
    call.about(before=before, after=after)
    return after


@router.post("/{name}/rotate", responses=answers(SecretAnswer, 200, 409))
async def rotate_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.rotate", "secret/{name}")],
    name: str,
    body: NextValue,
) -> dict[str, Any]:
    """Replaces a secret's value: ``{"value": "…", "overlap": "24h"}``.

    During the overlap requests carry signatures of both values; all other uses take the new value
    at once.
    """
    before = _sealed(parts, name)
    await rotate(parts, name, body)
    after = shown(parts, name)
    call.about(before=before, after=after)
    return after


@router.delete("/{name}", status_code=204, responses=answers(None, 204, 409))
async def delete_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.delete", "secret/{name}")],
    name: str,
) -> None:
    """Deletes a secret. 409 if a webhook names it."""
    call.about(before=_sealed(parts, name))
    await parts.sealed.remove(name)


async def rotate(parts: SecretParts, name: str, body: dict[str, Any]) -> None:
    """Replaces a secret as a request's body says: ``value`` and ``overlap``.

    Raises InvalidDefinition, Problem 409 if the sealed store does not hold the secret's value, and
    what SealedSecrets.rotate raises.
    """
    value = _value(body, {"value", "overlap"})
    overlap = DEFAULT_OVERLAP
    if (given := body.get("overlap")) is not None:
        try:
            overlap = parse_duration(given if isinstance(given, str) else str(given))
        except ValueError as error:
            raise InvalidDefinition("overlap", str(error)) from None
    origin = parts.secrets.origin(name)
    if origin in ("environment", "file"):
        raise Problem(409, f"the secret {name} comes from the {origin}: change it there (of "
                           "signing keys there may be several, separated by spaces)")  # fmt: skip
    await parts.sealed.rotate(name, value, overlap)


def _value(body: dict[str, Any], known: set[str]) -> str:
    if not body.keys() <= known:  # the message must not repeat the keys: one may be a secret
        raise InvalidDefinition("", f"unknown key; the keys are: {', '.join(sorted(known))}")
    value = body.get("value")
    if not isinstance(value, str):
        raise InvalidDefinition("value", "must be a string")
    return value


def shown(parts: SecretParts, name: str) -> dict[str, Any]:
    """A secret as the API shows it: all but its value."""
    return _shown(parts, name, parts.sealed.users().get(name, []))


def _sealed(parts: SecretParts, name: str) -> dict[str, Any] | None:
    return shown(parts, name) if name in parts.registry.secrets else None


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
            "former_until": [rfc3339(time) for time in until or ()],
        },
        "used_by": users[:100],
    }  # fmt: skip
