"""The sealed store: secrets that the API sets, kept in the registry and readable only with a key
from elsewhere. A value is never given back to anybody but the receiver it is for."""

import time
from collections.abc import Callable

import msgspec
import structlog

from event_gateway.broker.registry import Registry, RegistryConflict
from event_gateway.core.access.sealing import CannotOpen, CannotSeal, Sealed, SealingKeys
from event_gateway.core.errors import Conflict, InvalidDefinition, Unknown
from event_gateway.core.webhook.security import SEALED_NAME, SEALING_KEY
from event_gateway.secrets.named import MAX_BYTES, Secrets

log = structlog.get_logger(__name__)

MAX_SECRETS = 10_000
MAX_FORMER = 4  # values of before that hold on
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
        return [one for one in self.former if one.until > now]


class SealedSecrets:
    """``key_text`` gives the keys as they are now; None where there is none."""

    def __init__(
        self, registry: Registry, secrets: Secrets, key_text: Callable[[], str | None]
    ) -> None:
        self._registry = registry
        self._secrets = secrets
        self._key_text = key_text
        self._text: str | None = None
        self._opened: SealingKeys | None = None
        self._warned: set[str] = set()
        secrets.sealed = self.find
        registry.on_secret.append(self._changed)

    def find(self, name: str) -> tuple[str, ...]:
        """The value of a secret and those that it has replaced not long ago, newest first."""
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            return ()
        try:
            content = self._open(name, sealed)
        except (CannotOpen, CannotSeal) as error:
            if name not in self._warned:
                self._warned.add(name)
                log.warning("a sealed secret cannot be used", secret=name, why=str(error))
            return ()
        return (content.value, *(one.value for one in content.valid(time.time())))

    def until(self, name: str) -> list[float] | None:
        """When each former value ends, newest first; None where the secret cannot be opened."""
        try:
            content = self._open(name, self._registry.secrets[name])
        except (CannotOpen, CannotSeal):
            return None
        return [one.until for one in content.valid(time.time())]

    async def set(self, name: str, value: str) -> bool:
        """Seals a value under a name; what was there holds no more. Gives whether it is a new name.

        Raises InvalidDefinition, Conflict, CannotSeal.
        """
        _check(name, value)
        former = self._registry.secrets.get(name)
        if former is None and len(self._registry.secrets) >= MAX_SECRETS:
            raise Conflict(f"there are {MAX_SECRETS} secrets already")
        await self._put(name, _Content(value), time.time(), former)
        return former is None

    async def rotate(self, name: str, value: str, overlap: float) -> None:
        """Puts a value in the place of the present one, which holds for ``overlap`` seconds more.

        Raises InvalidDefinition, Unknown, Conflict, CannotSeal, CannotOpen.
        """
        _check(name, value)
        if not 0 <= overlap <= MAX_OVERLAP:
            raise InvalidDefinition("overlap", "must be between 0s and 30d")
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            raise Unknown(f"there is no sealed secret {name}")
        now = time.time()
        content = self._open(name, sealed)
        former = [_Former(content.value, now + overlap), *content.valid(now)]
        if overlap and len(former) > MAX_FORMER:
            raise Conflict(f"{MAX_FORMER} former values of {name} still hold")
        await self._put(name, _Content(value, former if overlap else []), now, sealed)

    async def remove(self, name: str) -> None:
        """Forgets a secret. Raises Unknown, Conflict."""
        sealed = self._registry.secrets.get(name)
        if sealed is None:
            raise Unknown(f"there is no sealed secret {name}")
        users = self.users().get(name)
        if users:
            raise Conflict(f"the secret {name} is used by the webhooks {', '.join(users[:10])}")
        try:
            await self._registry.remove_secret(name, sealed)
        except RegistryConflict:
            raise Conflict(f"the secret {name} was changed in between") from None

    async def reseal(self) -> int:
        """Seals all that is not sealed with the first key with it; gives how many.

        Raises CannotSeal, CannotOpen, Conflict.
        """
        count = 0
        first = self._keys().first
        for name, sealed in list(self._registry.secrets.items()):
            if sealed.key_id != first:
                await self._put(name, self._open(name, sealed), sealed.updated_at, sealed)
                count += 1
        return count

    def users(self) -> dict[str, list[str]]:
        """All secrets that webhooks name, each with those webhooks."""
        users: dict[str, list[str]] = {}
        for webhook in self._registry.webhooks.values():
            for name in {one.secret_name for one in webhook.security if one.secret_name}:
                users.setdefault(name, []).append(webhook.id)
        return users

    async def _put(
        self, name: str, content: _Content, updated_at: float, former: Sealed | None
    ) -> None:
        sealed = self._keys().seal(name, msgspec.json.encode(content), updated_at)
        try:
            await self._registry.put_secret(name, sealed, former)
        except RegistryConflict:
            raise Conflict(f"the secret {name} was changed in between") from None

    def _open(self, name: str, sealed: Sealed) -> _Content:
        return msgspec.json.decode(self._keys().open(name, sealed), type=_Content)

    def _keys(self) -> SealingKeys:
        text = self._key_text()
        if text is None:
            raise CannotSeal(
                NO_KEY.format(
                    variable=self._secrets.variable(SEALING_KEY),
                    file=self._secrets.directory / SEALING_KEY,
                )
            )
        if self._opened is None or text != self._text:
            self._opened, self._text = SealingKeys(text), text
        return self._opened

    def _changed(self, name: str) -> None:
        self._warned.discard(name)
        self._secrets.forget(name)


def _check(name: str, value: str) -> None:
    if SEALED_NAME.fullmatch(name) is None:
        # It is not repeated: it may be the value.
        raise InvalidDefinition("name", f"is not of the form {SEALED_NAME.pattern}")
    if name.lower().replace("-", "_") == SEALING_KEY:
        raise InvalidDefinition("name", f"{SEALING_KEY} is what other secrets are sealed with")
    # Half of a surrogate pair, which JSON may hold, is no text that could be sent.
    if (
        not value.strip()
        or len(value.encode("utf-8", "surrogatepass")) > MAX_BYTES
        or any("\ud800" <= character <= "\udfff" for character in value)
    ):
        raise InvalidDefinition("value", f"must be text of 1 to {MAX_BYTES} bytes")
