"""Creates, changes, rotates and revokes API keys.

A change returns once every process has applied it.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import structlog
from msgspec.structs import replace

from event_gateway.beats import beat
from event_gateway.broker.connection import BrokerError
from event_gateway.broker.failures import LogUnavailable
from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.access.api_key import (
    ADMIN_ID,
    ApiKey,
    hash_of,
    is_id,
    new_id,
    new_value,
)
from event_gateway.core.errors import ChangedInBetween, Conflict, InvalidDefinition, NotRegistered
from event_gateway.registration.admin_key import AdminKeyFile
from event_gateway.registration.key_ring import KeyRing
from event_gateway.state.connection import StateError
from event_gateway.state.key_uses import KeyUses

log = structlog.get_logger(__name__)

MAX_KEYS = 10_000
MAX_OVERLAP = 30 * 86400.0  # seconds
WRITE_INTERVAL = 60.0  # seconds between two writes of when keys were used


class Keys:
    """Changes the keys of the registry, and the admin key in its file. ``ring`` has the latter."""

    def __init__(
        self, *, registry: Registry, ring: KeyRing, admin: AdminKeyFile, uses: KeyUses
    ) -> None:
        self.ring = ring
        self._registry = registry
        self._admin = admin
        self._uses = uses

    @property
    def admin_file(self) -> str:
        """The path of the file with the admin key, on the machine that answers."""
        return str(self._admin.path)

    def find(self, key_id: str) -> ApiKey:
        """The key with an id. Raises NotRegistered."""
        key = self.ring.admin() if key_id == ADMIN_ID else self._registry.keys.get(key_id)
        if key is None:
            raise _unknown(key_id)
        return key

    def ids(self) -> set[str]:
        """The ids of all keys."""
        return self._registry.keys.keys() | {ADMIN_ID}

    async def used_at(self, key_ids: Sequence[str]) -> dict[str, float]:
        """When these keys were last used, of those that were: by other processes up to a minute
        ago, and empty while Redis cannot be reached."""
        try:
            times = await self._uses.read(key_ids)
        except StateError:
            times = {}
        own = self.ring.used
        return times | {key_id: own[key_id] for key_id in key_ids if key_id in own}

    async def write_uses(self) -> None:
        """Stores again and again when keys were used. It never returns."""
        while True:
            await beat(WRITE_INTERVAL)
            used = self.ring.take_uses()
            ids = self.ids()
            known = {key_id: used_at for key_id, used_at in used.items() if key_id in ids}
            try:
                if known:
                    await self._uses.write(known)
            except StateError as error:
                log.debug("the uses of keys were not stored", error=str(error))
                self.ring.put_back(used)

    async def create(self, **values: Any) -> tuple[ApiKey, str]:
        """Creates a key with these values; returns it with its value. Raises Conflict."""
        if len(self._registry.keys) >= MAX_KEYS:
            raise Conflict(f"there are {MAX_KEYS} keys already: revoke some that nobody uses")
        key_id = new_id()
        value = new_value(key_id)
        key = ApiKey(id=key_id, hash=hash_of(value), created_at=time.time(), **values)
        await self._put(key, None)
        return key, value

    async def change(self, key_id: str, **values: Any) -> ApiKey:
        """Changes what a key may do. Raises NotRegistered, Conflict."""
        former = self.find(key_id)
        if key_id == ADMIN_ID:
            raise Conflict(f"{self._of_the_file()}, and cannot be changed")
        key = replace(former, **values)
        if key != former:
            await self._put(key, former)
        return key

    async def rotate(self, key_id: str, overlap: float) -> tuple[ApiKey, str, bool]:
        """Gives a key another value. The former one stays valid for ``overlap`` seconds more.

        Returns the key, its value, and whether an earlier overlap was cut short by this: a key has
        at most one former value. Raises InvalidDefinition, NotRegistered, Conflict.
        """
        if not 0 <= overlap <= MAX_OVERLAP:
            raise InvalidDefinition("overlap", "must be between 0s and 30d")
        former, now = self.find(key_id), time.time()
        until = now + overlap if overlap else 0.0
        cut_short = former.former_until > now
        if key_id == ADMIN_ID:
            return *await self._rotate_admin(former, until), cut_short
        value = new_value(key_id)
        key = replace(
            former, hash=hash_of(value), rotated_at=now,
            former_hash=former.hash if overlap else b"", former_until=until,
        )  # fmt: skip
        await self._put(key, former)
        return key, value, cut_short

    async def revoke(self, key_id: str) -> None:
        """Deletes a key. Raises NotRegistered, and Conflict for the admin key."""
        if key_id == ADMIN_ID:
            raise Conflict(
                f"{self._of_the_file()}, and cannot be revoked: it is the way in that remains when "
                "all others are lost. Rotate it, or write another key into the file"
            )
        key = self._registry.keys.get(key_id)
        unreadable = is_id(key_id) and self._registry.is_unreadable("key", key_id)
        if key is None and not unreadable:
            raise _unknown(key_id)
        try:
            if key is None:
                await self._registry.remove_unreadable("key", key_id)
            else:
                await self._registry.remove_key(key)
        except RegistryConflict:
            raise _changed(key_id) from None
        with contextlib.suppress(*StateError):
            await self._uses.forget(key_id)

    async def _rotate_admin(self, former: ApiKey, until: float) -> tuple[ApiKey, str]:
        """First the registry knows that the former value is valid, then the file gets the new one.
        If the process dies in between, the former value is still the one of the file."""
        value = new_value(new_id())
        announced = replace(
            former, hash=hash_of(value), former_hash=former.hash, former_until=until
        )
        await self._put(announced, self._registry.keys.get(ADMIN_ID))
        if self._registry.keys.get(ADMIN_ID) != announced:
            raise _changed(ADMIN_ID)
        try:
            self._admin.write(value)
        except OSError as error:
            raise Conflict(
                f"{self._of_the_file()}, which this process cannot write ({error.strerror}). Write "
                "another key into it: the gateway reads it again within two seconds"
            ) from None
        # Every process reads the file as soon as it applies this.
        key = replace(
            announced, rotated_at=time.time(), former_hash=announced.former_hash if until else b""
        )
        with contextlib.suppress(Conflict, LogUnavailable, *BrokerError):
            await self._put(key, announced)  # else they read it within a second
        return key, value

    async def _put(self, key: ApiKey, former: ApiKey | None) -> None:
        try:
            await self._registry.put_key(key, former)
        except RegistryConflict:
            raise _changed(key.id) from None

    def _of_the_file(self) -> str:
        return f"the key admin is the one in the file {self.admin_file}"


def _unknown(key_id: str) -> NotRegistered:
    # Anything else is not repeated: it may be a key.
    return NotRegistered(f"there is no key {key_id if is_id(key_id) else 'of that id'}")


def _changed(key_id: str) -> ChangedInBetween:
    return ChangedInBetween(f"the key {key_id} was changed by another request")
