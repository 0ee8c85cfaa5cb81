"""The caller of a request, and what it may do."""

import operator
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from event_gateway.core.access.request_rates import RequestLimit
from event_gateway.core.access.scope import ADMIN, INCLUDED_IN, SCOPES
from event_gateway.core.matching.pattern import includes

Method = Literal["api_key", "browser_token", "hmac", "jwt", "mtls"]


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """A caller that has proved itself by ``method`` as ``id``: the id of a key, the subject of a
    token. ``name`` is for people.

    Each of ``namespaces``, ``types`` (patterns of event types) and ``streams`` narrows what the
    scopes allow, unless it is None. ``subjects``: patterns of subjects of the log that a caller
    with ``streams`` may listen to. ``expires_at``: in seconds since the epoch. ``credential`` tells
    apart the values of a key during a rotation. ``issued_by``: the identity of the key that issued
    a token. ``limit``: how many requests it may send, where it has a limit of its own.
    """

    name: str
    method: Method
    id: str
    scopes: frozenset[str]
    namespaces: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None
    subjects: tuple[str, ...] = ()
    expires_at: float | None = None
    credential: str = ""
    issued_by: str = ""
    limit: RequestLimit | None = None

    def allows(self, scope: str) -> bool:
        """Whether the caller has a scope, or one that includes it."""
        return scope in self.scopes or ADMIN in self.scopes or INCLUDED_IN.get(scope) in self.scopes

    @property
    def allowed(self) -> list[str]:
        """Every scope that the caller has, those included that another one includes."""
        return [scope for scope in SCOPES if self.allows(scope)]

    @property
    def confined(self) -> bool:
        """Whether something narrows the caller's scopes."""
        return any(limit is not None for limit in (self.namespaces, self.types, self.streams))

    @property
    def is_operator(self) -> bool:
        """Whether the caller may do what concerns the whole installation."""
        return ADMIN in self.scopes and not self.confined

    def within(self, other: "Principal") -> bool:
        """Whether the caller may do nothing that ``other`` may not."""
        return (
            all(other.allows(scope) for scope in self.scopes)
            and _within(self.namespaces, other.namespaces)
            and _within(self.types, other.types, includes)
            and _within(self.streams, other.streams)
            and (self.streams is None or other.may_listen(self.subjects))
        )

    @property
    def identity(self) -> str:
        """What tells the caller from all others: ``method:id``."""
        return f"{self.method}:{self.id}"

    @property
    def holder(self) -> str:
        """Whose connections and requests are counted together: the key, or the user of a key's
        tokens."""
        if self.issued_by:
            return f"{self.issued_by}:{self.name}"
        return self.identity

    def may_read(self, stream: str) -> bool:
        """Whether the caller may read a named stream."""
        return self.streams is None or stream in self.streams

    def may_listen(self, patterns: Sequence[str]) -> bool:
        """Whether the caller may read every subject that matches one of these patterns."""
        return self.streams is None or all(
            any(includes(allowed, pattern) for allowed in self.subjects) for pattern in patterns
        )


def _within(
    limit: tuple[str, ...] | None,
    other: tuple[str, ...] | None,
    allows: Callable[[str, str], bool] = operator.eq,
) -> bool:
    """Whether a limit leaves nothing that another limit does not allow."""
    if other is None:
        return True
    return limit is not None and all(any(allows(wide, item) for wide in other) for item in limit)


OPERATOR = Principal(name="admin", method="api_key", id="admin", scopes=frozenset((ADMIN,)))
"""The holder of the key in the data directory."""
