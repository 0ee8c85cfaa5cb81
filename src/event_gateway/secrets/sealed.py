"""Sealed secrets: set through the API and stored in the registry.

They can be read only with a key that is outside the registry. The API never returns a value.
"""

import time
from collections.abc import Iterable

import msgspec
import structlog

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.access.sealing import (
    CannotOpen,
    CannotSeal,
    Resealed,
    Sealed,
    SealingKeys,
)
from event_gateway.core.errors import ChangedInBetween, Conflict, InvalidDefinition, NotRegistered
from event_gateway.core.webhook.security import SEALED_NAME, SEALING_KEY, is_sealing_key
from event_gateway.core.webhook.signing_keys import is_signing_key, signers
from event_gateway.secrets.external import MAX_BYTES, ExternalSecrets

log = structlog.get_logger(__name__)

MAX_SECRETS = 10_000
MAX_FORMER = 4  # replaced values of a secret that are still valid
MAX_OVERLAP = 30 * 86400.0  # seconds
NO_KEY = (
    "there is no sealing key: set the variable {variable}, or the file {file}, "
    "to what `openssl rand -base64 32` prints"
)


class _Former(msgspec.Struct):
    value: str
    until: float

    def __repr__(self) -> str:
        return f"_Former(until={self.until})"


class _Content(msgspec.Struct):
    value: str
    former: list[_Former] = []

    def __repr__(self) -> str:
        return f"_Content(former={self.former})"

    def valid(self, now: float) -> list[_Former]:
        return [former for former in self.former if former.until > now]


_decode = msgspec.json.Decoder(_Content).decode


class SealedSecrets:
    """Reads and writes the sealed secrets of the registry; ``external`` has their key.

    ``version`` changes with each change of a secret.
    """

    def __init__(self, registry: Registry, external: ExternalSecrets) -> None:
        self.version = 0
        self._registry = registry
        self._external = external
        self._key_text: str | None = None
        self._keys_read: SealingKeys | None = None
        self._warned: set[str] = set()
        registry.notify(secret=self._changed)

    def find(self, name: str) -> tuple[str, ...]:
        """The value of a secret and the replaced ones that are still valid, newest first."""
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            return ()
        try:
            content = self._open(name, sealed)
        except (CannotOpen, CannotSeal) as error:
            self._warn(name, error)
            return ()
        return (content.value, *(former.value for former in content.valid(time.time())))

    def until(self, names: Iterable[str]) -> dict[str, list[float] | None]:
        """When each replaced value of these secrets becomes invalid, in seconds since the epoch,
        newest first; None if there is no sealed secret of a name, or it cannot be opened."""
        found: dict[str, list[float] | None] = dict.fromkeys(names)
        sealed = self._registry.secrets
        names = [name for name in found if name in sealed]
        try:
            keys, now = self._keys(), time.time()
        except CannotSeal as error:
            for name in names:
                self._warn(name, error)
            return found
        for name in names:
            try:
                content = _decode(keys.open(name, sealed[name]))
                found[name] = [former.until for former in content.valid(now)]
            except CannotOpen as error:
                self._warn(name, error)
        return found

    def _warn(self, name: str, error: Exception) -> None:
        """Once for each secret, until it changes."""
        if name not in self._warned:
            self._warned.add(name)
            log.warning("a sealed secret cannot be opened", secret=name, reason=str(error))

    def namespaces(self, name: str) -> tuple[str, ...]:
        """The namespaces that may use a secret; empty if there is none of that name."""
        sealed = self._registry.secrets.get(name)
        return () if sealed is None else sealed.namespaces

    async def set(self, name: str, value: str, namespaces: tuple[str, ...] | None = None) -> bool:
        """Seals a secret; its former values become invalid. Returns whether the secret is new.

        ``namespaces``: those that may use it from now on; None: those of before. Raises
        InvalidDefinition, Conflict, CannotSeal.
        """
        _check(name, value)
        self._check_signing_key(name, value)
        former = self._registry.secrets.get(name)
        if former is None and len(self._registry.secrets) >= MAX_SECRETS:
            raise Conflict(f"there are {MAX_SECRETS} secrets already")
        if namespaces is None:
            namespaces = () if former is None else former.namespaces
        await self._put(name, _Content(value), time.time(), former, namespaces)
        return former is None

    async def rotate(self, name: str, value: str, overlap: float) -> None:
        """Replaces the value, which stays valid for ``overlap`` seconds more.

        Raises InvalidDefinition, NotRegistered, Conflict, CannotSeal, CannotOpen.
        """
        _check(name, value)
        self._check_signing_key(name, value)
        if not 0 <= overlap <= MAX_OVERLAP:
            raise InvalidDefinition("overlap", "must be between 0s and 30d")
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            raise NotRegistered(f"there is no sealed secret {name}")
        now = time.time()
        content = self._open(name, sealed)
        former = [_Former(content.value, now + overlap), *content.valid(now)]
        if overlap and len(former) > MAX_FORMER:
            raise Conflict(f"{MAX_FORMER} former values of {name} are still valid")
        await self._put(
            name, _Content(value, former if overlap else []), now, sealed, sealed.namespaces
        )

    async def share(self, name: str, namespaces: tuple[str, ...]) -> None:
        """Changes which namespaces may use a secret, and keeps its values. Raises NotRegistered,
        Conflict."""
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            raise NotRegistered(f"there is no sealed secret {name}")
        if sealed.namespaces == namespaces:
            return
        changed = msgspec.structs.replace(sealed, namespaces=namespaces)
        await self._write(name, changed, sealed)

    async def remove(self, name: str) -> None:
        """Deletes a secret. Raises NotRegistered, Conflict."""
        sealed = self._registry.secrets.get(name)
        unreadable = self._registry.is_unreadable("secret", name)
        if sealed is None and not unreadable:
            raise NotRegistered(f"there is no sealed secret {name}")
        if users := self.users().get(name):
            raise Conflict(f"the secret {name} is used by the webhooks {', '.join(users[:10])}")
        if sources := self.sources().get(name):
            raise Conflict(f"the secret {name} is used by the sources {', '.join(sources[:10])}")
        try:
            if sealed is None:
                await self._registry.remove_unreadable("secret", name)
            else:
                await self._registry.remove_secret(name, sealed)
        except RegistryConflict:
            raise ChangedInBetween(f"the secret {name} was changed by another request") from None

    def check_key(self) -> None:
        """Raises CannotSeal where there is no usable sealing key."""
        self._keys()

    @property
    def first_key_id(self) -> str:
        """The id of the sealing key that seals. Raises CannotSeal."""
        return self._keys().first

    def seal_bytes(self, name: str, content: bytes) -> Sealed:
        """Seals something that is stored elsewhere, under a name. Raises CannotSeal."""
        return self._keys().seal(name, content, time.time())

    def open_bytes(self, name: str, sealed: Sealed) -> bytes:
        """What :meth:`seal_bytes` has sealed. Raises CannotSeal, CannotOpen."""
        return self._keys().open(name, sealed)

    async def reseal(self) -> Resealed:
        """Seals each secret with the first key if another key seals it. Raises CannotSeal,
        Conflict."""
        done = Resealed()
        first = self.first_key_id
        for name, sealed in list(self._registry.secrets.items()):
            if sealed.key_id == first:
                continue
            try:
                content = self._open(name, sealed)
            except CannotOpen as error:
                done.leave(name, str(error))
                continue
            await self._put(name, content, sealed.updated_at, sealed, sealed.namespaces)
            done.sealed += 1
        return done

    def users(self) -> dict[str, list[str]]:
        """The names of the secrets that webhooks use, with the ids of those webhooks."""
        users: dict[str, list[str]] = {}
        for webhook in self._registry.webhooks.values():
            for name in {method.secret_name for method in webhook.security if method.secret_name}:
                users.setdefault(name, []).append(webhook.id)
        return users

    def sources(self) -> dict[str, list[str]]:
        """The names of the secrets that sources use, with the names of those sources."""
        users: dict[str, list[str]] = {}
        for source in self._registry.sources.values():
            if name := source.settings.secret_name:
                users.setdefault(name, []).append(source.name)
        return users

    def _check_signing_key(self, name: str, value: str) -> None:
        """Raises InvalidDefinition if the value is meant to sign, and cannot."""
        signs = is_signing_key(value) or any(
            method.auth_type == "hmac_signature" and method.secret_name == name
            for webhook in self._registry.webhooks.values()
            for method in webhook.security
        )
        if signs:
            try:
                signers((value,))
            except ValueError as error:
                raise InvalidDefinition("value", str(error)) from None

    async def _put(
        self,
        name: str,
        content: _Content,
        updated_at: float,
        former: Sealed | None,
        namespaces: tuple[str, ...],
    ) -> None:
        encoded = msgspec.json.encode(content)
        await self._write(name, self._keys().seal(name, encoded, updated_at, namespaces), former)

    async def _write(self, name: str, sealed: Sealed, former: Sealed | None) -> None:
        try:
            await self._registry.put_secret(name, sealed, former)
        except RegistryConflict:
            raise ChangedInBetween(f"the secret {name} was changed by another request") from None

    def _open(self, name: str, sealed: Sealed) -> _Content:
        return _decode(self._keys().open(name, sealed))

    def _keys(self) -> SealingKeys:
        text = self._external.sealing_key()
        if text is None:
            raise CannotSeal(
                NO_KEY.format(
                    variable=self._external.variable(SEALING_KEY),
                    file=self._external.directory / SEALING_KEY,
                )
            )
        if self._keys_read is None or text != self._key_text:
            self._keys_read, self._key_text = SealingKeys(text), text
        return self._keys_read

    def _changed(self, name: str) -> None:
        self._warned.discard(name)
        self.version += 1


def _check(name: str, value: str) -> None:
    if SEALED_NAME.fullmatch(name) is None:
        # The name is not repeated: it may be the value.
        raise InvalidDefinition("name", f"is not of the form {SEALED_NAME.pattern}")
    if is_sealing_key(name):
        raise InvalidDefinition("name", f"{SEALING_KEY} is the key that seals the other secrets")
    # Half of a surrogate pair, which JSON may hold, is no text that could be sent.
    if (
        not value.strip()
        or len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES
        or any("\ud800" <= character <= "\udfff" for character in value)
    ):
        raise InvalidDefinition("value", f"must be text of 1 to {MAX_BYTES} bytes")
