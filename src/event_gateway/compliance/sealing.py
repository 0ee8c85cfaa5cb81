"""Seals the data of events under the key of the person whom they are about, and redacts people."""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from event_gateway.broker.subject_keys import SubjectKey, SubjectKeys
from event_gateway.core.access.sealing import KEY_BYTES, CannotOpen, Resealed, Sealed
from event_gateway.core.cloudevents.event import DataKind, Event, Received
from event_gateway.core.compliance.sealed_data import key_id_of, open_sealed, seal
from event_gateway.core.matching.path import path_of

SealBytes = Callable[[str, bytes], Sealed]
OpenBytes = Callable[[str, Sealed], bytes]
TRIES = 5
AT_ONCE = 32  # keys that are sealed again at a time
NUMBER_BITS = 48


class DataSealing:
    """``installation_key`` makes the digests of people; ``seal`` and ``open`` seal a key under a
    name, and open it. Methods raise LogUnavailable, CannotSeal and CannotOpen."""

    def __init__(
        self, keys: SubjectKeys, installation_key: bytes, seal: SealBytes, open: OpenBytes
    ) -> None:
        self.keys = keys
        self._installation_key = installation_key
        self._seal = seal
        self._open = open

    def person(self, stream: str, subject: str) -> str:
        """The digest of a person in a stream."""
        text = f"{stream}\n{subject}".encode()
        return hmac.new(self._installation_key, text, hashlib.sha256).hexdigest()[:32]

    def person_of(self, stream: str, path: str, received: Received) -> str | None:
        """The digest of the person whom an event is about, by the text or number at a path; None if
        it names no person."""
        value: Any = path_of(path).value(received)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            return None
        return self.person(stream, str(value))

    async def key(self, stream: str, person: str) -> tuple[str, bytes]:
        """The id and the key of a person; a new one if there is none, or it was erased."""
        for _ in range(TRIES):
            entry, revision = await self.keys.read(stream, person)
            if entry is not None and entry.sealed is not None:
                key_id = f"{person}.{entry.number}"
                return key_id, self._open(f"{stream}/{key_id}", entry.sealed)
            # Drawn, as a process may have ended between erasing a key and writing its marker: the
            # events of that key must not seem to be sealed with this one.
            number = secrets.randbits(NUMBER_BITS) if entry is None else entry.number + 1
            key_id, raw = f"{person}.{number}", secrets.token_bytes(KEY_BYTES)
            made = SubjectKey(number, self._seal(f"{stream}/{key_id}", raw))
            if await self.keys.write(stream, person, made, revision):
                return key_id, raw
        raise CannotOpen("the key of a person is being changed")

    async def reseal(self, first_key_id: str) -> Resealed:
        """Seals again, with the first sealing key, the keys of people that another sealing key
        seals. ``first_key_id``: the id of the first one."""
        result = Resealed()
        async with contextlib.aclosing(self.keys.all()) as pages:
            async for page in pages:
                outdated = [
                    each for each in page
                    if (sealed := each[2].sealed) is not None and sealed.key_id != first_key_id
                ]  # fmt: skip
                for at in range(0, len(outdated), AT_ONCE):
                    await asyncio.gather(
                        *(self._reseal(result, *each) for each in outdated[at : at + AT_ONCE])
                    )
        return result

    async def _reseal(
        self, result: Resealed, stream: str, person: str, entry: SubjectKey, revision: int
    ) -> None:
        assert entry.sealed is not None
        name = f"{stream}/{person}.{entry.number}"
        try:
            raw = self._open(name, entry.sealed)
        except CannotOpen as error:
            result.leave(name, str(error))
            return
        # One that was changed in between was sealed with the first key, or erased.
        if await self.keys.reseal(stream, person, entry, self._seal(name, raw), revision):
            result.sealed += 1

    def sealed(self, event: Event, key: tuple[str, bytes]) -> Event:
        """The event with its data sealed."""
        return event if event.kind is DataKind.NONE else seal(event, *key)

    async def opened(self, stream: str, event: Event) -> Event | None:
        """The event with its data as it was published; None if that was redacted."""
        key_id = key_id_of(event)
        if key_id is None:
            return event
        person, _, number = key_id.partition(".")
        entry, _ = await self.keys.read(stream, person)
        if entry is None or entry.sealed is None or str(entry.number) != number:
            return None
        return open_sealed(event, self._open(f"{stream}/{key_id}", entry.sealed))


def redacted(event: Event) -> Event:
    """The event without its data, which nobody can read any more."""
    return msgspec.structs.replace(event, data=b"", kind=DataKind.NONE, datacontenttype=None)
