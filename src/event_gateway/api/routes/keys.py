"""``/v1/keys``: creates, lists, changes, rotates and revokes API keys. Only the answers to a create
and to a rotation show a key, this once."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.access import ChangedKey, KeyAnswer, NewKey
from event_gateway.api.answers.common import Page
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, set_tag
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import Limit, page_answer, page_of
from event_gateway.api.server.search import Search, Searched
from event_gateway.api.server.warnings import with_warnings
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.key_model import (
    KeyBody,
    KeyPatch,
    KeyRotation,
    key_changes_from_json,
    key_from_json,
    overlap_from_json,
)
from event_gateway.core.access.api_key import ADMIN_ID, ApiKey
from event_gateway.core.access.key_warnings import key_warnings
from event_gateway.core.access.request_rates import RequestLimit
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import DefinitionWarning
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.text.units import format_duration
from event_gateway.registration.keys import Keys

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

CUT_SHORT = DefinitionWarning(
    "former_ended", "overlap",
    "the value before the former one was still valid, and is refused from now on: a key has two "
    "valid values at most",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyParts:
    """What the routes use."""

    registry: Registry
    keys: Keys


Parts = Annotated[KeyParts, Depends(provided(KeyParts))]
KeyRequest = Annotated[dict[str, Any], Body(), SchemaOf(KeyBody)]
Changes = Annotated[dict[str, Any], Body(), SchemaOf(KeyPatch)]
RotationRequest = Annotated[Annotated[dict[str, Any], SchemaOf(KeyRotation)] | None, Body()]


@router.get("", responses=answers(Page[KeyAnswer]))
async def list_keys(
    parts: Parts,
    caller: Operator,
    search: Searched,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The keys by id, the admin key included, without their values.

    ``search``: in the id, the name, the scopes, the namespaces, and who created it.
    """
    ids = [key_id for key_id in parts.keys.ids() if _fits(search, parts.keys.find(key_id))]
    page, more = page_of(ids, limit, cursor)
    used = await parts.keys.used_at(page)
    return page_answer(
        [_shown(parts, parts.keys.find(key_id), used) for key_id in page], more, len(ids)
    )


@router.post("", status_code=201, responses=answers(NewKey, 201, 409, headers=CREATED))
async def create_key(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("keys.create", "key")],
    once: Once,
    response: Response,
    body: KeyRequest,
) -> dict[str, Any]:
    """Creates a key. Every process knows it once this is answered; only this answer shows it."""
    key, value = await parts.keys.create(**key_from_json(body), created_by=caller.name)
    response.headers["Location"] = f"/v1/keys/{key.id}"
    call.about(resource_name("key", key.id), after=_shown(parts, key, {}))
    set_tag(response, _shown(parts, key, {}))
    return _with_value(parts, key, value)


@router.get("/{key_id}", responses=answers(KeyAnswer, headers=ETAG))
async def show_key(
    parts: Parts, caller: Operator, response: Response, key_id: str
) -> dict[str, Any]:
    """A key without its value."""
    key = parts.keys.find(key_id)
    set_tag(response, _shown(parts, key, {}))
    return _shown(parts, key, await parts.keys.used_at([key_id]))


@router.patch("/{key_id}", responses=answers(ChangedKey, 200, 409, headers=ETAG))
async def change_key(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("keys.change", "key/{key_id}")],
    condition: Conditional,
    response: Response,
    key_id: str,
    body: Changes,
) -> dict[str, Any]:
    """Changes the name of a key, its scopes, what narrows them, how many requests it may send, or
    when it expires.

    ``null`` removes what narrows it, its limits, or its end. Connections that were opened with what
    the key allows no more are closed.
    """
    former = parts.keys.find(key_id)
    condition.check(_shown(parts, former, {}))
    key = await parts.keys.change(key_id, **key_changes_from_json(body))
    used = await parts.keys.used_at([key_id])
    shown = _shown(parts, key, used)
    call.about(before=_shown(parts, former, used), after=shown)
    set_tag(response, _shown(parts, key, {}))
    return with_warnings(shown, _warnings(parts, key))


@router.post("/{key_id}/rotate", responses=answers(NewKey, 200, 409, headers=ETAG))
async def rotate_key(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("keys.rotate", "key/{key_id}")],
    once: Once,
    condition: Conditional,
    response: Response,
    key_id: str,
    body: RotationRequest = None,
) -> dict[str, Any]:
    """Gives a key another value: ``{"overlap": "24h"}`` says how long the former one stays valid,
    0 refuses it at once. Only this answer shows the new one."""
    former = parts.keys.find(key_id)
    condition.check(_shown(parts, former, {}))
    key, value, cut_short = await parts.keys.rotate(key_id, overlap_from_json(body or {}))
    call.about(before=_shown(parts, former, {}), after=_shown(parts, key, {}))
    set_tag(response, _shown(parts, key, {}))
    return _with_value(parts, key, value, *((CUT_SHORT,) if cut_short else ()))


@router.delete("/{key_id}", status_code=204, responses=answers(None, 204, 409))
async def revoke_key(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("keys.revoke", "key/{key_id}")],
    condition: Conditional,
    key_id: str,
) -> None:
    """Revokes a key: every process refuses it once this is answered, and its connections and
    tokens end within seconds. 409 for the admin key."""
    former = parts.registry.keys.get(key_id)
    condition.check(None if former is None else _shown(parts, former, {}))
    await parts.keys.revoke(key_id)
    if former is not None:
        call.about(before=_shown(parts, former, {}))


def _with_value(
    parts: KeyParts, key: ApiKey, value: str, *more: DefinitionWarning
) -> dict[str, Any]:
    shown = _shown(parts, key, {})
    return with_warnings({"id": key.id, "key": value} | shown, [*_warnings(parts, key), *more])


def _warnings(parts: KeyParts, key: ApiKey) -> list[DefinitionWarning]:
    return list(key_warnings(key, parts.registry.streams))


def _fits(search: Search, key: ApiKey) -> bool:
    creator = None if key.id == ADMIN_ID else key.created_by
    return search.fits(key.id, key.name, creator, *key.scopes, *(key.namespaces or ()))


def _shown(parts: KeyParts, key: ApiKey, used: dict[str, float]) -> dict[str, Any]:
    of_file = key.id == ADMIN_ID
    former_until = key.former_until if key.former_until > time.time() else None
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "namespaces": _listed(key.namespaces),
        "types": _listed(key.types),
        "streams": _listed(key.streams),
        "limits": _limits(key.limit),
        "created_at": None if of_file else rfc3339(key.created_at),
        "created_by": None if of_file else key.created_by,
        "expires_at": rfc3339_or_none(key.expires_at),
        "rotated_at": rfc3339_or_none(key.rotated_at),
        "former_until": rfc3339_or_none(former_until),
        "used_at": rfc3339_or_none(used.get(key.id)),
        "managed_by": "file" if of_file else "api",
        "file": parts.keys.admin_file if of_file else None,
    }


def _limits(limit: RequestLimit | None) -> dict[str, Any] | None:
    if limit is None:
        return None
    return {"requests": limit.requests, "per": format_duration(limit.window)}


def _listed(limit: tuple[str, ...] | None) -> list[str] | None:
    return None if limit is None else list(limit)
