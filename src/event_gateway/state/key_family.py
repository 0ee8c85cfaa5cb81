"""A family of keys in Redis: their pattern, what they hold, and what becomes of them."""

import re
from enum import StrEnum

import msgspec

PREFIX = ""  # beginning of all keys; scripts get it as KEYS[1]

_PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


class Expiry(StrEnum):
    """Whether the keys of a family have a time to live in Redis."""

    NEVER = "never"
    ALWAYS = "always"
    ONCE_ENDED = "once ended"  # from the end of the delivery or replay on


class Deletion(StrEnum):
    """What the deletion of a webhook does to the webhook's data in a family."""

    NONE = ""  # there is no data of a single webhook, or its owner deletes the data
    FORGET = "forget"  # the key or member is deleted after the last queued delivery is cancelled
    # As FORGET. An attempt that ends after the deletion can write the data once more; then it is
    # deleted when the id is registered again.
    FORGET_HISTORY = "forget history"


class KeyFamily(msgspec.Struct, frozen=True, kw_only=True):
    """All keys with the same pattern.

    ``type`` is the type in Redis; ``owner`` the module in this package that writes the keys;
    ``value`` what they hold, ``lifetime`` for how long, ``deleted_by`` what deletes them. ``ttl``:
    the time to live in seconds, if it is not configured.
    """

    name: str
    pattern: str
    type: str
    owner: str
    value: str
    lifetime: str
    deleted_by: str
    expiry: Expiry = Expiry.NEVER
    ttl: float | None = None
    at_deletion: Deletion = Deletion.NONE

    def key(self, *parts: str) -> str:
        """The key with these values for the placeholders of the pattern. Raises ValueError."""
        literals = _PLACEHOLDER.split(self.pattern)
        filled = [literals[0]]
        for part, literal in zip(parts, literals[1:], strict=True):
            filled += [part, literal]
        return PREFIX + "".join(filled)

    @property
    def placeholders(self) -> list[str]:
        """The names of the placeholders."""
        return [placeholder[1:-1] for placeholder in _PLACEHOLDER.findall(self.pattern)]

    @property
    def literals(self) -> list[str]:
        """The texts around the placeholders: one more than there are placeholders."""
        return _PLACEHOLDER.split(self.pattern)

    @property
    def ttl_ms(self) -> int:
        """The time to live in ms."""
        assert self.ttl is not None, f"{self.name} has no fixed time to live"
        return round(self.ttl * 1000)

    def matches(self, key: str) -> bool:
        """Whether a key, given without PREFIX, matches the pattern."""
        pattern = ".*".join(re.escape(literal) for literal in self.literals)
        return re.fullmatch(pattern, key, re.DOTALL) is not None
