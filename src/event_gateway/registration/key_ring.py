"""The key ring: all API keys as this process knows them, found by their values."""

import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from hmac import compare_digest

import structlog
from msgspec.structs import replace

from event_gateway.beats import beat
from event_gateway.broker.registry import Registry
from event_gateway.core.access.api_key import (
    ADMIN_ID,
    ID_IN_VALUE,
    ApiKey,
    admin_key,
    is_mistyped,
)
from event_gateway.core.access.principal import Principal
from event_gateway.registration.admin_key import AdminKeyFile

log = structlog.get_logger(__name__)

READ_INTERVAL = 1.0  # seconds between two looks at the file of the admin key

_Values = tuple[tuple[bytes, Principal], ...]  # each value that is valid: its hash, and its holder


class InvalidKey(Exception):
    """No key has this value now; the text says why."""


class KeyRing:
    """The keys of the registry, and the admin key. ``used`` has when this process last saw each
    key, by id, in seconds since the epoch."""

    def __init__(self, registry: Registry, admin: AdminKeyFile) -> None:
        self._registry = registry
        self._admin = admin
        self._values: dict[str, _Values] = {}
        self.used: dict[str, float] = {}
        self._set_admin()
        registry.notify(key=self._changed)

    def take_uses(self) -> dict[str, float]:
        """Removes and returns ``used``, to be stored."""
        used, self.used = self.used, {}
        return used

    def put_back(self, used: dict[str, float]) -> None:
        """Takes uses back that could not be stored."""
        self.used = used | self.used

    def holder(self, value: str) -> Principal:
        """The holder of a key. Raises InvalidKey.

        The id in the value leads to the hashes, which are compared in constant time.
        """
        given = sha256(value.encode()).digest()
        key_id = value[ID_IN_VALUE]
        values = self._values.get(key_id)
        if values is None:
            key_id, values = ADMIN_ID, self._values[ADMIN_ID]
        for value_hash, principal in values:
            if compare_digest(given, value_hash):
                now = time.time()
                if principal.expires_at is not None and principal.expires_at <= now:
                    raise InvalidKey("the key has expired, or was rotated")
                self.used[key_id] = now
                return principal
        if is_mistyped(value):
            raise InvalidKey("the key is mistyped: its last characters do not fit the others")
        raise InvalidKey("the key is not known")

    def current(self, key_id: str) -> Principal | None:
        """What the holder of a key may do now; None if the key is expired or revoked."""
        for _, principal in self._values.get(key_id, ()):
            return principal if _is_valid(principal) else None
        return None

    def still_valid(self, principal: Principal) -> bool:
        """Whether the value with which a caller came is valid, and still allows all that it
        allowed."""
        for _, known in self._values.get(principal.id, ()):
            if known is principal:
                return _is_valid(known)
            if known.credential == principal.credential:
                return _is_valid(known) and principal.within(known)
        return False

    def admin(self) -> ApiKey:
        """The admin key, as the registry would hold it."""
        key = admin_key(self._admin.value)
        stored = self._registry.keys.get(ADMIN_ID)
        if stored is None or stored.hash != key.hash:
            return key  # never rotated, or the file has changed since
        return replace(
            key, rotated_at=stored.rotated_at, former_hash=stored.former_hash,
            former_until=stored.former_until,
        )  # fmt: skip

    async def follow_admin_key(self, on_change: Callable[[], None]) -> None:
        """Reads the file of the admin key again and again, and calls ``on_change`` when it has
        another key. It never returns."""
        while True:
            await beat(READ_INTERVAL)
            changed = self._read_admin()
            if self._admin.value != self._admin_set:  # also after a rotation by this process
                self._set_admin()
            if changed:
                on_change()

    def _read_admin(self) -> bool:
        changed = self._admin.read_again()
        if changed:
            log.warning("the admin key was changed", file=str(self._admin.path))
        return changed

    def _set_admin(self) -> None:
        self._admin_set = self._admin.value
        self._values[ADMIN_ID] = tuple(_values_of(self.admin()))

    def _changed(self, key_id: str) -> None:
        if key_id == ADMIN_ID:
            self._read_admin()
            self._set_admin()
        elif (key := self._registry.keys.get(key_id)) is None:
            self._values.pop(key_id, None)
            self.used.pop(key_id, None)
        else:
            self._values[key_id] = tuple(_values_of(key))


def _values_of(key: ApiKey) -> Iterable[tuple[bytes, Principal]]:
    yield key.hash, key.principal(key.hash)
    if key.former_hash:
        yield key.former_hash, key.principal(key.former_hash, key.former_until)


def _is_valid(principal: Principal) -> bool:
    return principal.expires_at is None or time.time() < principal.expires_at
