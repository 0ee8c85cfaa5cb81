"""``/v1/secrets``: sets, rotates and lists secrets by name. No answer shows a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesSecrets, Operator
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.others import Resealed, SecretAnswer
from event_gateway.api.answers.requests import Rotation, SecretSharing, SecretValue
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.conditional import ETAG, Conditional, set_tag
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, page_answer, page_of
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.search import Search, Searched
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.compliance.sealing import DataSealing
from event_gateway.core.access.narrowing import (
    MAX_NAMESPACES,
    check_namespace,
    is_narrowed,
    is_within,
    owner_of,
)
from event_gateway.core.access.principal import Principal
from event_gateway.core.errors import AlreadyExists, Conflict, InvalidDefinition, Unknown
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import parse_duration
from event_gateway.registration.visible import webhooks_of
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
    data_sealing: DataSealing


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
    """The secrets in the sealed store, those that webhooks name, and those outside the gateway that
    namespaces may use: where each comes from, and which webhooks use it.

    ``search``: in the name, the namespaces, and the ids of the webhooks that use it.
    """
    users = _users(parts, caller)
    names = {*parts.registry.secrets, *users, *parts.secrets.configured()}
    seen = [
        name for name in names
        if _sees(parts, caller, name) and _fits(parts, search, name, users.get(name, []))
    ]  # fmt: skip
    page, more = page_of(seen, limit, cursor)
    return page_answer(_shown(parts, page, users), more, len(seen))


@router.post("/reseal", responses=answers(Resealed, 200, 409))
async def reseal_secrets(
    parts: Parts, caller: Operator, call: Annotated[Call, audited("secrets.reseal", "secret")]
) -> dict[str, Any]:
    """Seals all secrets, and the keys of the people whose data compliance streams have sealed, with
    the first sealing key, so that the other sealing keys can be removed."""
    resealed = {
        "resealed": await parts.sealed.reseal(),
        "subject_keys": await parts.data_sealing.reseal(parts.sealed.first_key_id),
    }
    call.about(after=resealed)
    return resealed


@router.get("/{name}", responses=answers(SecretAnswer, headers=ETAG))
async def show_secret(
    parts: Parts, caller: ManagesSecrets, response: Response, name: str
) -> dict[str, Any]:
    """A secret without its value: where it comes from, who may use it, and which webhooks do."""
    names = {*parts.registry.secrets, *parts.sealed.users(), *parts.secrets.configured()}
    if name not in names or not _sees(parts, caller, name):
        raise Unknown(f"there is no secret {name}")
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
    value = _value(body, {"value", "namespaces"})
    namespaces = _namespaces(parts, caller, name, body.get("namespaces"))
    _check_free(parts, caller, name)
    check_changeable(parts, name, caller)
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
    if not _sees(parts, caller, name):
        raise Unknown(f"there is no sealed secret {name}")
    if not body.keys() <= {"namespaces"}:  # the message must not repeat the keys
        raise InvalidDefinition("", "unknown key; the key is: namespaces (PUT sets the value, and "
                                    "rotate replaces it)")  # fmt: skip
    check_changeable(parts, name, caller)
    before = _sealed(parts, name)
    if before is None:
        _check_sealed(parts, name)
        raise Unknown(f"there is no sealed secret {name}")
    condition.check(_definition(before))
    if "namespaces" in body:
        given = _namespaces(parts, caller, name, body["namespaces"] or [])
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
    if not _sees(parts, caller, name):
        raise Unknown(f"there is no sealed secret {name}")
    check_changeable(parts, name, caller)
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
    if not _sees(parts, caller, name):
        raise Unknown(f"there is no sealed secret {name}")
    check_changeable(parts, name, caller)
    before = _sealed(parts, name)
    condition.check(before and _definition(before))
    call.about(before=before)
    users = parts.sealed.users().get(name, [])
    if users and caller.namespaces is not None:
        own = _users(parts, caller).get(name, [])
        raise Conflict(f"the secret {name} is used by webhooks{': ' if own else ''}"
                       f"{', '.join(own[:10])}")  # fmt: skip
    await parts.sealed.remove(name)


def check_changeable(parts: SecretParts, name: str, caller: Principal) -> None:
    """Raises the 403 problem if callers prove themselves with a secret, and the caller is no
    operator: whoever sets the secret could call as they do."""
    if parts.secrets.proves_callers(name) and not caller.is_operator:
        raise Problem(403, "callers of the gateway prove themselves with this secret: it needs the "
                           "scope admin without namespaces, types or streams")  # fmt: skip


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
    _check_sealed(parts, name)
    await parts.sealed.rotate(name, value, overlap)


def _check_sealed(parts: SecretParts, name: str) -> None:
    """Raises a Problem if a secret comes from outside the gateway."""
    origin = parts.secrets.origin(name)
    if origin in ("environment", "file"):
        raise Problem(409, f"the secret {name} comes from the {origin}: change it there (of "
                           "signing keys there may be several, separated by spaces)")  # fmt: skip


def _value(body: dict[str, Any], known: set[str]) -> str:
    if not body.keys() <= known:  # the message must not repeat the keys: one may be a secret
        raise InvalidDefinition("", f"unknown key; the keys are: {', '.join(sorted(known))}")
    value = body.get("value")
    if not isinstance(value, str):
        raise InvalidDefinition("value", "must be a string")
    return value


def _namespaces(
    parts: SecretParts, caller: Principal, name: str, given: Any
) -> tuple[str, ...] | None:
    """The namespaces of a secret that a caller sets; None: those of before."""
    if caller.namespaces is not None and not caller.namespaces:
        raise Problem(403, "the caller is narrowed to no namespace: it can set no secret")
    if given is None:
        new = caller.namespaces is not None and not parts.sealed.namespaces(name)
        return owner_of(caller) if new else None
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise InvalidDefinition("namespaces", "must be a list of texts")
    for namespace in given:
        try:
            check_namespace(namespace)
        except ValueError as error:
            raise InvalidDefinition("namespaces", str(error)) from None
    if len(given) > MAX_NAMESPACES:
        raise InvalidDefinition("namespaces", f"there are at most {MAX_NAMESPACES}")
    if caller.namespaces is not None and not is_within(given, caller.namespaces):
        allowed = ", ".join(caller.namespaces)
        raise InvalidDefinition("namespaces", f"must be some of the caller's own: {allowed}")
    return tuple(sorted(set(given)))


def _sees(parts: SecretParts, caller: Principal, name: str) -> bool:
    """Whether a caller may know of a secret."""
    if caller.namespaces is None:
        return True
    if parts.secrets.proves_callers(name):  # whoever has it could act as those callers
        return False
    return is_within(parts.secrets.namespaces(name), caller.namespaces)


def may_change(parts: SecretParts, caller: Principal, name: str) -> bool:
    """Whether a caller may change a secret's value."""
    return _sees(parts, caller, name)


def _check_free(parts: SecretParts, caller: Principal, name: str) -> None:
    """Raises Conflict, which tells nothing else, if a name is not the caller's to set: there is a
    secret of others, or a webhook of others waits for one."""
    if caller.namespaces is None:
        return
    if parts.secrets.namespaces(name) or parts.secrets.proves_callers(name):
        taken = not _sees(parts, caller, name)
    else:
        taken = (
            name in parts.registry.secrets
            or parts.secrets.origin(name) is not None
            or parts.registry.is_unreadable("secret", name)
            or bool(parts.sealed.users().get(name))
        )
    if taken:
        raise AlreadyExists(f"the name {name} is taken")


def _users(parts: SecretParts, caller: Principal) -> dict[str, list[str]]:
    """The secrets that webhooks use, with the ids of those that the caller may see."""
    users = parts.sealed.users()
    if not is_narrowed(caller):
        return users
    visible = webhooks_of(caller, parts.registry)
    return {
        name: [webhook_id for webhook_id in ids if webhook_id in visible]
        for name, ids in users.items()
    }


def shown(parts: SecretParts, caller: Principal, name: str) -> dict[str, Any]:
    """A secret as the API shows it: all but its value."""
    return _shown(parts, [name], _users(parts, caller))[0]


def _tagged(parts: SecretParts, caller: Principal, name: str, response: Response) -> dict[str, Any]:
    answer = shown(parts, caller, name)
    if answer["sealed"] is not None:
        set_tag(response, _definition(answer))
    return answer


def _definition(secret: dict[str, Any]) -> dict[str, Any]:
    """What somebody has set of a sealed secret, without which webhooks use it, and without former
    values, which end by themselves."""
    sealed = secret["sealed"]
    return {name: secret[name] for name in ("name", "namespaces")} | {
        name: sealed[name] for name in ("updated_at", "key_id")
    }


def _sealed(parts: SecretParts, name: str) -> dict[str, Any] | None:
    """A sealed secret as an operator sees it, for the audit log."""
    if name not in parts.registry.secrets:
        return None
    return _shown(parts, [name], parts.sealed.users())[0]


def _fits(parts: SecretParts, search: Search, name: str, users: list[str]) -> bool:
    # Whose a secret is takes a look at files.
    return search.fits(name, *users) or search.fits_any(parts.secrets.namespaces(name))


def _shown(
    parts: SecretParts, names: Sequence[str], users: Mapping[str, list[str]]
) -> list[dict[str, Any]]:
    """Secrets by name; ``users``: the webhooks of each."""
    return [
        _shown_one(parts, name, users.get(name, []), until)
        for name, until in parts.sealed.until(names).items()
    ]


def _shown_one(
    parts: SecretParts, name: str, users: list[str], until: list[float] | None
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
        "used_by": users[:100],
    }  # fmt: skip
