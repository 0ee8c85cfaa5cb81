"""What a caller may know of a secret, and what it may do with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from event_gateway.api.server.problems import Problem
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
from event_gateway.core.errors import AlreadyExists, Conflict, InvalidDefinition, NotRegistered
from event_gateway.core.text.units import parse_duration
from event_gateway.registration.visibility import webhooks_of
from event_gateway.secrets.named import Secrets
from event_gateway.secrets.sealed import SealedSecrets

DEFAULT_OVERLAP = 86400.0  # seconds for which a replaced value stays valid


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretParts:
    """What the routes use."""

    registry: Registry
    secrets: Secrets
    sealed: SealedSecrets
    data_sealing: DataSealing


def check_changeable(parts: SecretParts, caller: Principal, name: str) -> None:
    """Raises the 403 problem if callers prove themselves with a secret, and the caller is no
    operator: a caller that sets the secret could call as they do."""
    if parts.secrets.proves_callers(name) and not caller.is_operator:
        raise Problem(403, "callers of the gateway prove themselves with this secret: it needs the "
                           "scope admin without namespaces, types or streams")  # fmt: skip


def check_not_external(parts: SecretParts, name: str) -> None:
    """Raises the 409 problem if the value in use comes from the environment or a file."""
    origin = parts.secrets.origin(name)
    if origin in ("environment", "file"):
        raise Problem(409, f"the secret {name} comes from the {origin}: change it there (of "
                           "signing keys there may be several, separated by spaces)")  # fmt: skip


def namespaces_of(
    parts: SecretParts, caller: Principal, name: str, given: Any
) -> tuple[str, ...] | None:
    """The namespaces that a secret gets which a caller sets; None: it keeps those that it has.
    ``given``: the member of the body. Raises a Problem 403, and InvalidDefinition."""
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


def may_know(parts: SecretParts, caller: Principal, name: str) -> bool:
    """Whether a caller may know of a secret."""
    if caller.namespaces is None:
        return True
    if parts.secrets.proves_callers(name):  # its holder could act as those callers
        return False
    return is_within(parts.secrets.namespaces(name), caller.namespaces)


def check_known(parts: SecretParts, caller: Principal, name: str) -> None:
    """Raises NotRegistered if a caller may not know of a secret that it wants to change."""
    if not may_know(parts, caller, name):
        raise NotRegistered(f"there is no sealed secret {name}")


def check_free(parts: SecretParts, caller: Principal, name: str) -> None:
    """Raises AlreadyExists if a name is not the caller's to set: there is a secret of others, or a
    webhook of others waits for one. The error does not tell which."""
    if caller.namespaces is None:
        return
    if parts.secrets.namespaces(name) or parts.secrets.proves_callers(name):
        taken = not may_know(parts, caller, name)
    else:
        taken = (
            name in parts.registry.secrets
            or parts.secrets.origin(name) is not None
            or parts.registry.is_unreadable("secret", name)
            or bool(parts.sealed.users().get(name))
        )
    if taken:
        raise AlreadyExists(f"the name {name} is taken")


class Users(NamedTuple):
    """The users of secrets, by the name of the secret: ids of webhooks, and names of sources."""

    webhooks: Mapping[str, list[str]]
    sources: Mapping[str, list[str]]


def all_users(parts: SecretParts) -> Users:
    """The users of all secrets."""
    return Users(parts.sealed.users(), parts.sealed.sources())


def visible_users(parts: SecretParts, caller: Principal) -> Users:
    """The users of secrets that the caller may see, for each secret that is used, also where it may
    see none of them. Sources are the operators'."""
    users = all_users(parts)
    if not is_narrowed(caller):
        return users
    visible = webhooks_of(caller, parts.registry)
    own = {
        name: [webhook_id for webhook_id in ids if webhook_id in visible]
        for name, ids in users.webhooks.items()
    }
    return Users(own, {name: [] for name in users.sources})


def check_unused(parts: SecretParts, caller: Principal, name: str) -> None:
    """Raises Conflict if webhooks use a secret, for callers that may not see all of them. The error
    names those whom the caller sees. (Only operators change a secret that sources use.)"""
    if not is_narrowed(caller):
        return  # SealedSecrets.remove names all of them
    if parts.sealed.users().get(name):
        own = visible_users(parts, caller).webhooks[name]
        named = f": {', '.join(own[:10])}" if own else ""
        raise Conflict(f"the secret {name} is used by webhooks{named}")


def value_in(body: dict[str, Any], known: set[str]) -> str:
    """The value in a body with no other members than ``known``. Raises InvalidDefinition."""
    if not body.keys() <= known:  # the message must not repeat the keys: one may be a secret
        raise InvalidDefinition("", f"unknown key; the keys are: {', '.join(sorted(known))}")
    value = body.get("value")
    if not isinstance(value, str):
        raise InvalidDefinition("value", "must be a string")
    return value


async def rotate(parts: SecretParts, name: str, body: dict[str, Any]) -> None:
    """Replaces a secret as a request's body says: ``value`` and ``overlap``.

    Raises InvalidDefinition, Problem 409 if the sealed store does not hold the secret's value, and
    what SealedSecrets.rotate raises.
    """
    value = value_in(body, {"value", "overlap"})
    overlap = DEFAULT_OVERLAP
    if (given := body.get("overlap")) is not None:
        try:
            overlap = parse_duration(given if isinstance(given, str) else str(given))
        except ValueError as error:
            raise InvalidDefinition("overlap", str(error)) from None
    check_not_external(parts, name)
    await parts.sealed.rotate(name, value, overlap)
