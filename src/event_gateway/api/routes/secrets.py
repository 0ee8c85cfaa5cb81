"""``/v1/secrets``: sets, rotates and lists secrets by name. No answer shows a value."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesSecrets, Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.secrets import Resealed, SecretAnswer
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.openapi.request_bodies import Rotation, SecretSharing, SecretValue
from event_gateway.api.routes.secret_rules import (
    SecretParts,
    Users,
    all_users,
    check_changeable,
    check_free,
    check_known,
    check_not_external,
    check_unused,
    may_know,
    namespaces_of,
    rotate,
    value_in,
    visible_users,
)
from event_gateway.api.server.conditional import ETAG, Conditional, set_tag
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, page_answer, page_of
from event_gateway.api.server.search import Search, Searched
from event_gateway.audit.trail import Call
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import InvalidDefinition, NotRegistered
from event_gateway.core.text.times import rfc3339

router = APIRouter(prefix="/v1/secrets", tags=["secrets"], route_class=GuardedRoute)

MAX_SHOWN = 100  # webhooks and sources of a secret, in an answer

Parts = Annotated[SecretParts, Depends(provided(SecretParts))]
NewValue = Annotated[dict[str, Any], Body(), SchemaOf(SecretValue)]
Sharing = Annotated[dict[str, Any], Body(), SchemaOf(SecretSharing, patch=True)]
NextValue = Annotated[dict[str, Any], Body(), SchemaOf(Rotation)]


@router.get("", responses=answers(Page[SecretAnswer]))
async def list_secrets(
    parts: Parts,
    caller: ManagesSecrets,
    search: Searched,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The secrets in the sealed store, those that webhooks and sources name, and those outside the
    gateway that namespaces may use: where each comes from, and which webhooks and sources use it.

    ``search``: in the name, the namespaces, and the names of the webhooks and sources that use it.
    """
    users = visible_users(parts, caller)
    names = {*parts.registry.secrets, *users.webhooks, *users.sources, *parts.secrets.configured()}
    seen = [
        name for name in names
        if may_know(parts, caller, name) and _fits(parts, search, name, users)
    ]  # fmt: skip
    page, more = page_of(seen, limit, cursor)
    return page_answer(_shown(parts, page, users), more, len(seen))


@router.post("/reseal", responses=answers(Resealed, 200, 409))
async def reseal_secrets(
    parts: Parts, caller: Operator, call: Annotated[Call, audited("secrets.reseal", "secret")]
) -> dict[str, Any]:
    """Seals all secrets, and the keys of the people whose data compliance streams have sealed, with
    the first sealing key, so that the other sealing keys can be removed.

    ``unreadable``: secrets that no sealing key opens, at most 100 of them, which stay as they are;
    ``unreadable_subject_keys``: how many keys of people are so."""
    secrets = await parts.sealed.reseal()
    people = await parts.data_sealing.reseal(parts.sealed.first_key_id)
    resealed = {
        "resealed": secrets.sealed,
        "subject_keys": people.sealed,
        "unreadable": [
            {"name": name, "detail": detail} for name, detail in secrets.unreadable.items()
        ],
        "unreadable_count": secrets.unreadable_count,
        "unreadable_subject_keys": people.unreadable_count,
    }
    call.about(after=resealed)
    return resealed


@router.get("/{name}", responses=answers(SecretAnswer, headers=ETAG))
async def show_secret(
    parts: Parts, caller: ManagesSecrets, response: Response, name: str
) -> dict[str, Any]:
    """A secret without its value: where it comes from, who may use it, and which webhooks and
    sources do."""
    names = {
        *parts.registry.secrets, *parts.sealed.users(), *parts.sealed.sources(),
        *parts.secrets.configured(),
    }  # fmt: skip
    if name not in names or not may_know(parts, caller, name):
        raise NotRegistered(f"there is no secret {name}")
    return _tagged(parts, caller, name, response)


@router.put(
    "/{name}",
    responses=answers(SecretAnswer, 200, 409, headers=ETAG)
    | answers(SecretAnswer, 201, headers=ETAG),
)
async def set_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.set", "secret/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: NewValue,
) -> dict[str, Any]:
    """Sets a secret: ``{"value": "…", "namespaces": ["…"]}``. All processes use it once this is
    answered.

    ``namespaces``: those whose webhooks may use it; of none: only the operators' webhooks. Without
    this member they stay as they are; a caller that is narrowed to namespaces gives its own.
    """
    value = value_in(body, {"value", "namespaces"})
    namespaces = namespaces_of(parts, caller, name, body.get("namespaces"))
    check_free(parts, caller, name)
    check_changeable(parts, caller, name)
    before = _sealed(parts, name)
    condition.check(before and _definition(before))
    if await parts.sealed.set(name, value, namespaces):
        response.status_code = 201
    call.about(before=before, after=_sealed(parts, name))
    return _tagged(parts, caller, name, response)


@router.patch("/{name}", responses=answers(SecretAnswer, 200, 409, headers=ETAG))
async def change_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.change", "secret/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: Sharing,
) -> dict[str, Any]:
    """Changes which namespaces may use a sealed secret, and keeps its value:
    ``{"namespaces": ["…"]}``. Null or an empty list: only the operators' webhooks.

    Webhooks that may not use it any more wait with the reason ``SecretMissing``.
    """
    check_known(parts, caller, name)
    if not body.keys() <= {"namespaces"}:  # the message must not repeat the keys
        raise InvalidDefinition("", "unknown key; the key is: namespaces (PUT sets the value, and "
                                    "rotate replaces it)")  # fmt: skip
    check_changeable(parts, caller, name)
    before = _sealed(parts, name)
    if before is None:
        check_not_external(parts, name)
        raise NotRegistered(f"there is no sealed secret {name}")
    condition.check(_definition(before))
    if "namespaces" in body:
        given = namespaces_of(parts, caller, name, body["namespaces"] or [])
        await parts.sealed.share(name, given or ())
    call.about(before=before, after=_sealed(parts, name))
    return _tagged(parts, caller, name, response)


@router.post("/{name}/rotate", responses=answers(SecretAnswer, 200, 409, headers=ETAG))
async def rotate_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.rotate", "secret/{name}")],
    once: Once,
    condition: Conditional,
    response: Response,
    name: str,
    body: NextValue,
) -> dict[str, Any]:
    """Replaces a secret's value: ``{"value": "…", "overlap": "24h"}``.

    During the overlap requests carry signatures of both values; all other uses take the new value
    at once.
    """
    check_known(parts, caller, name)
    check_changeable(parts, caller, name)
    before = _sealed(parts, name)
    condition.check(before and _definition(before))
    await rotate(parts, name, body)
    call.about(before=before, after=_sealed(parts, name))
    return _tagged(parts, caller, name, response)


@router.delete("/{name}", status_code=204, responses=answers(None, 204, 409))
async def delete_secret(
    parts: Parts,
    caller: ManagesSecrets,
    call: Annotated[Call, audited("secrets.delete", "secret/{name}")],
    condition: Conditional,
    name: str,
) -> None:
    """Deletes a secret. 409 if a webhook or a source names it."""
    check_known(parts, caller, name)
    check_changeable(parts, caller, name)
    before = _sealed(parts, name)
    condition.check(before and _definition(before))
    call.about(before=before)
    check_unused(parts, caller, name)
    await parts.sealed.remove(name)


def shown(parts: SecretParts, caller: Principal, name: str) -> dict[str, Any]:
    """A secret as the API shows it: all but its value."""
    return _shown(parts, [name], visible_users(parts, caller))[0]


def _tagged(parts: SecretParts, caller: Principal, name: str, response: Response) -> dict[str, Any]:
    answer = shown(parts, caller, name)
    if answer["sealed"] is not None:
        set_tag(response, _definition(answer))
    return answer


def _definition(secret: dict[str, Any]) -> dict[str, Any]:
    """The settings of a sealed secret: neither the webhooks that use it, nor its former values,
    which end by themselves."""
    sealed = secret["sealed"]
    return {name: secret[name] for name in ("name", "namespaces")} | {
        name: sealed[name] for name in ("updated_at", "key_id")
    }


def _sealed(parts: SecretParts, name: str) -> dict[str, Any] | None:
    """A sealed secret as an operator sees it, for the audit log."""
    if name not in parts.registry.secrets:
        return None
    return _shown(parts, [name], all_users(parts))[0]


def _fits(parts: SecretParts, search: Search, name: str, users: Users) -> bool:
    using = (*users.webhooks.get(name, ()), *users.sources.get(name, ()))
    # Whose a secret is takes a look at files.
    return search.fits(name, *using) or search.fits_any(parts.secrets.namespaces(name))


def _shown(parts: SecretParts, names: Sequence[str], users: Users) -> list[dict[str, Any]]:
    """Secrets by name, with their users."""
    return [
        _shown_one(parts, name, users, until) for name, until in parts.sealed.until(names).items()
    ]


def _shown_one(
    parts: SecretParts, name: str, users: Users, until: list[float] | None
) -> dict[str, Any]:
    sealed = parts.registry.secrets.get(name)
    origin, namespaces = parts.secrets.described(name)
    return {
        "name": name,
        "from": origin or ("sealed" if until is not None else None),
        "namespaces": list(namespaces),
        "sealed": sealed and {
            "updated_at": rfc3339(sealed.updated_at),
            "key_id": sealed.key_id,
            "readable": until is not None,
            "former_until": [rfc3339(time) for time in until or ()],
        },
        "used_by": users.webhooks.get(name, [])[:MAX_SHOWN],
        "used_by_sources": users.sources.get(name, [])[:MAX_SHOWN],
    }  # fmt: skip
