"""The registry: webhooks, streams, sources, event types, API keys and sealed secrets, the same in
every process.

They are stored in a JetStream key-value bucket that every process watches: a change applies
everywhere without a restart, and survives the loss of Redis.
"""

import asyncio
import contextlib
from collections.abc import KeysView, Mapping, Sequence
from typing import TypeVar

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry_bucket import RegistryBucket, RegistryConflict
from event_gateway.broker.registry_contents import Kind, RegistryContents
from event_gateway.broker.registry_entries import (
    FORMAT,
    REVOCATIONS,
    StoredKey,
    StoredLog,
    StoredRevocations,
    StoredSecret,
    StoredSource,
    StoredType,
    event_type_key,
    log_key,
    stored_stream,
    stored_webhook,
)
from event_gateway.broker.stream_list import StreamList
from event_gateway.core.access.api_key import ApiKey
from event_gateway.core.access.sealing import Sealed
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.tasks import Supervisor

__all__ = ["Registry", "RegistryConflict"]

T = TypeVar("T")

CONCURRENT_WRITES = 64


class Registry(RegistryContents):
    """Everything that is registered, as this process has applied it, and the methods to change it.

    What the attributes hold says :class:`RegistryContents`.
    """

    def __init__(
        self, broker: Broker, streams: StreamList, peers: Peers, supervisor: Supervisor
    ) -> None:
        super().__init__()
        self._bucket = RegistryBucket(
            broker, streams, peers, supervisor=supervisor, apply=self.apply
        )

    async def open(self) -> bytes:
        """Opens the bucket, or creates it; returns the installation's own key, created on first
        use."""
        return await self._bucket.open()

    async def watch(self) -> None:
        """Starts to watch the bucket; returns once all its present entries are applied.

        Raises NewerFormat if a newer version of the gateway wrote an entry, because an incomplete
        registry must not be used; and TimeoutError if no entry arrives for a while.
        """
        await self._bucket.watch()

    async def restore(self) -> None:
        """Creates the bucket again, which was deleted, with all that this process has applied.

        Raises ProvisionError, and what BrokerError names.
        """
        await self._bucket.restore(self.encoded())

    async def stop(self) -> None:
        """Ends the watch."""
        await self._bucket.stop()

    @property
    def left_out(self) -> KeysView[str]:
        """The keys of entries that this process cannot read and therefore ignores."""
        return self._bucket.left_out.keys()

    @property
    def stalled(self) -> bool:
        """Whether the bucket holds a change that this process should have applied long ago."""
        return self._bucket.stalled

    def may_have_webhook(self, webhook_id: str) -> bool:
        """Whether a webhook of that id may be registered, also if this process does not know it:
        because its entry cannot be read, or because the watch has stalled."""
        known = webhook_id in self.webhooks or f"webhook.{webhook_id}" in self.left_out
        return known or webhook_id in self._renamed or self.stalled

    def is_unreadable(self, kind: Kind, name: str) -> bool:
        """Whether the registry has an entry of that name, and nothing can be made of it. It can be
        replaced as if the name were free, or deleted with :meth:`remove_unreadable`."""
        return _key(kind, name) in self.left_out and name not in self.entries(kind)

    async def remove_unreadable(self, kind: Kind, name: str) -> None:
        """Deletes an entry that cannot be read. Raises RegistryConflict where it was changed or
        deleted in between."""
        key = _key(kind, name)
        await self._bucket.delete(key)
        await self._bucket.until(lambda: key not in self.left_out)
        await self._bucket.confirmed(self._bucket.revision)

    @property
    def revision(self) -> int:
        """The revision of the latest change that this process has applied."""
        return self._bucket.revision

    async def applied(self, revision: int, timeout: float | None = None) -> None:
        """Returns once this process has applied the change of that revision.

        Raises TimeoutError.
        """
        if timeout is None:
            await self._bucket.applied(revision)
        else:
            await self._bucket.applied(revision, timeout)

    async def put_webhook(self, webhook: Webhook, former: Webhook | None) -> None:
        """Writes a webhook and waits until every live process has applied it.

        ``former`` is the webhook that it replaces; None if the id must be free. Raises
        RegistryConflict if the registry holds something else.
        """
        value = msgspec.json.encode(stored_webhook(webhook))
        await self._put(f"webhook.{webhook.id}", value, self.webhooks.get(webhook.id), former)

    async def put_stream(
        self, definition: StreamDefinition, former: StreamDefinition | None
    ) -> None:
        """Writes a stream's definition as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(stored_stream(definition))
        known = self.streams.get(definition.name)
        await self._put(f"stream.{definition.name}", value, known, former)

    async def put_source(
        self, definition: SourceDefinition, former: SourceDefinition | None
    ) -> None:
        """Writes a source as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(StoredSource(FORMAT, definition))
        known = self.sources.get(definition.name)
        await self._put(f"source.{definition.name}", value, known, former)

    async def put_secret(self, name: str, sealed: Sealed, former: Sealed | None) -> None:
        """Writes a sealed secret as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(StoredSecret(FORMAT, sealed))
        await self._put(f"secret.{name}", value, self.secrets.get(name), former)

    async def put_key(self, key: ApiKey, former: ApiKey | None) -> None:
        """Writes an API key as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(StoredKey(FORMAT, key))
        await self._put(f"key.{key.id}", value, self.keys.get(key.id), former)

    async def put_revoked_tokens(self, tokens: dict[str, float], former: dict[str, float]) -> None:
        """Writes the revoked browser tokens as :meth:`put_webhook` does a webhook. An empty
        ``former``: there is no such entry."""
        value = msgspec.json.encode(StoredRevocations(FORMAT, tokens))
        await self._put(REVOCATIONS, value, self.revoked_tokens or None, former or None)

    async def put_log(self, stream: str, known: KnownLog) -> None:
        """Writes what is known of a JetStream stream, as :meth:`put_webhook` does a webhook."""
        former = self.logs.get(stream)
        value = msgspec.json.encode(StoredLog(FORMAT, known))
        await self._put(log_key(stream), value, former, former)

    async def put_event_types(self, changes: Sequence[tuple[EventType, EventType | None]]) -> None:
        """Writes event types as :meth:`put_webhook` does a webhook, and waits once for all of them.

        If it fails, some of them can be written.
        """
        last = 0
        for start in range(0, len(changes), CONCURRENT_WRITES):
            revisions = await asyncio.gather(*(
                self._write(
                    event_type_key(new.type), msgspec.json.encode(StoredType(FORMAT, new)),
                    self.event_types.get(new.type), former,
                )
                for new, former in changes[start : start + CONCURRENT_WRITES]
            ))  # fmt: skip
            last = max(last, *revisions)
        if last:
            await self._bucket.applied(last)
            await self._bucket.confirmed(last)

    async def remove_event_type(self, event_type: EventType) -> None:
        """Deletes an event type. Raises RegistryConflict if it was deleted or changed before."""
        name = event_type.type
        await self._remove(event_type_key(name), self.event_types, name, event_type)

    async def remove_source(self, definition: SourceDefinition) -> None:
        """Deletes a source. Raises RegistryConflict if it was deleted or changed before."""
        name = definition.name
        await self._remove(f"source.{name}", self.sources, name, definition)

    async def remove_secret(self, name: str, sealed: Sealed) -> None:
        """Deletes a secret. Raises RegistryConflict if it was deleted or changed before."""
        await self._remove(f"secret.{name}", self.secrets, name, sealed)

    async def remove_key(self, key: ApiKey) -> None:
        """Deletes an API key. Raises RegistryConflict if it was deleted or changed before."""
        await self._remove(f"key.{key.id}", self.keys, key.id, key)

    async def remove_stream(self, definition: StreamDefinition, last_seq: int = 0) -> None:
        """Deletes a stream's definition, so that its name is free again. ``last_seq``: its last
        sequence, behind which a later stream of the name begins.

        Raises RegistryConflict if it was deleted or changed before.
        """
        key = f"stream.{definition.name}"
        await self._remove(key, self.streams, definition.name, definition, last_seq)
        source = stream_name(definition.name)
        if (known := self.logs.get(source)) is not None:
            with contextlib.suppress(RegistryConflict):
                await self._remove(log_key(source), self.logs, source, known)

    async def remove_webhook(self, webhook: Webhook) -> None:
        """Deletes a webhook, so that its id is free again.

        Raises RegistryConflict if it was deleted or changed before.
        """
        await self._remove(f"webhook.{webhook.id}", self.webhooks, webhook.id, webhook)

    async def _remove(
        self, key: str, known: Mapping[str, object], name: str, expected: object, last_seq: int = 0
    ) -> None:
        if known.get(name) != expected:
            raise RegistryConflict(f"{key} was deleted or changed in between")
        await self._bucket.delete(key, last_seq)
        await self._bucket.until(lambda: known.get(name) != expected)
        await self._bucket.confirmed(self._bucket.revision)

    async def _put(self, key: str, value: bytes, known: object, former: object) -> None:
        revision = await self._write(key, value, known, former)
        await self._bucket.applied(revision)
        await self._bucket.confirmed(revision)

    async def _write(self, key: str, value: bytes, known: object, former: object) -> int:
        if known != former:
            raise RegistryConflict(key)
        return await self._bucket.write(key, value, new=former is None)


def _key(kind: Kind, name: str) -> str:
    return event_type_key(name) if kind == "type" else f"{kind}.{name}"
