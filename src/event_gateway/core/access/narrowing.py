"""What a narrowed caller may publish, see and manage.

The namespace of an event is the text at ``data.namespace``, as the selection ``namespaces`` of a
webhook reads it: an event without one, or with something else there, belongs to no namespace.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any

from event_gateway.core.access.principal import Principal
from event_gateway.core.cloudevents.event import DataKind, Received
from event_gateway.core.cloudevents.reserved_types import is_lifecycle
from event_gateway.core.matching.path import path_of
from event_gateway.core.matching.pattern import includes, overlaps, takes

NAMESPACE = path_of("data.namespace")
MAX_NAMESPACES = 100  # of a caller, a webhook or a secret
MAX_NAMESPACE = 128  # characters
MAX_SHOWN = 100  # characters of a namespace or type that a refusal repeats


def check_namespace(value: str) -> str:
    """A namespace that a key, a secret or a caller names. Raises ValueError."""
    if not value or len(value) > MAX_NAMESPACE or not value.isprintable() or value != value.strip():
        raise ValueError(
            f"a namespace has 1 to {MAX_NAMESPACE} printable characters without spaces around them"
        )
    return value


def namespace_of(received: Received) -> str | None:
    """The namespace of an event; None if it has none."""
    value = NAMESPACE.value(received)
    return value if isinstance(value, str) else None


def is_of(received: Received, namespaces: Collection[str]) -> bool:
    """Whether an event belongs to one of these namespaces."""
    return namespace_of(received) in namespaces


def may_read(caller: Principal, received: Received) -> bool:
    """Whether a caller may see an event."""
    if caller.namespaces is not None and not is_of(received, caller.namespaces):
        return False
    return may_read_type(caller, received.event.type)


def may_read_type(caller: Principal, event_type: str) -> bool:
    """Whether a caller may see events of a type."""
    return caller.types is None or any(takes(pattern, event_type) for pattern in caller.types)


def publish_refusal(caller: Principal, received: Received) -> str | None:
    """Why a caller may not publish an event; None if it may."""
    event = received.event
    if not may_read_type(caller, event.type):
        return f"the caller may not publish the type {event.type[:MAX_SHOWN]!r}"
    if caller.namespaces is None or is_of(received, caller.namespaces):
        if caller.namespaces is not None and _is_repeated(event.data, event.kind):
            return "the name 'namespace' occurs twice in the data, and readers may take either"
        return None
    namespace = namespace_of(received)
    if namespace is None:
        return "the caller is narrowed to namespaces, and data.namespace is not a text"
    return f"the caller may not publish in the namespace {namespace[:MAX_SHOWN]!r}"


def _is_repeated(data: bytes, kind: DataKind) -> bool:
    """Whether the outermost object has several members ``namespace``: the gateway reads the last of
    them, a receiver may read another."""
    if kind is not DataKind.JSON or (data.count(b'"namespace"') < 2 and b"\\" not in data):
        return False
    members: list[tuple[str, Any]] = []

    def collect(pairs: list[tuple[str, Any]]) -> None:
        members[:] = pairs  # the outermost object comes last

    try:
        json.loads(data, object_pairs_hook=collect, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return True
    return sum(name == "namespace" for name, _ in members) > 1


def may_manage(caller: Principal, owner: Sequence[str], events: Sequence[str]) -> bool:
    """Whether a caller may see and change a webhook of this owner, with these patterns."""
    if caller.namespaces is not None and not is_within(owner, caller.namespaces):
        return False
    return may_select(caller, events)


def may_select(caller: Principal, patterns: Sequence[str]) -> bool:
    """Whether a caller may read all types that match one of these patterns."""
    return caller.types is None or all(
        any(includes(allowed, pattern) for allowed in caller.types) for pattern in patterns
    )


def may_touch(caller: Principal, subjects: Sequence[str]) -> tuple[str, ...]:
    """Those of a stream's subjects on which there may be events that a caller may read."""
    if caller.types is None:
        return tuple(subjects)
    return tuple(
        subject
        for subject in subjects
        if any(
            overlaps(subject, allowed) and is_lifecycle(subject) == is_lifecycle(allowed)
            for allowed in caller.types
        )
    )


def is_within(namespaces: Sequence[str], wider: Sequence[str]) -> bool:
    """Whether something that belongs to ``namespaces`` lies within ``wider``. What belongs to no
    namespace is the operators', and lies within none."""
    return bool(namespaces) and set(namespaces) <= set(wider)


def owner_of(caller: Principal) -> tuple[str, ...]:
    """The owner of what a caller registers; empty: it is the operators'."""
    return () if caller.namespaces is None else tuple(sorted(set(caller.namespaces)))


def is_narrowed(caller: Principal) -> bool:
    """Whether there are events, webhooks or deliveries that a caller may not see."""
    return caller.namespaces is not None or caller.types is not None


def holds_nothing(caller: Principal) -> bool:
    """Whether a caller is narrowed to no namespace at all: what it registers could not have an
    owner, and would be the operators'."""
    return caller.namespaces is not None and not caller.namespaces
