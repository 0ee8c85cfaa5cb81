"""The registry: webhooks, streams, event types, API keys and sealed secrets, the same in every
process.

They are stored in a JetStream key-value bucket that every process watches: a change applies
everywhere without a restart, and survives the loss of Redis.
"""

import asyncio
import contextlib
from collections.abc import Callable, KeysView, Mapping, Sequence
from typing import Literal, TypeVar

import msgspec

from event_gateway.broker.connection import Broker
from event_gateway.broker.named_streams import stream_name
from event_gateway.broker.peers import Peers
from event_gateway.broker.registry_bucket import RegistryBucket, RegistryConflict
from event_gateway.broker.registry_entries import (
    FORMAT,
    StoredKey,
    StoredLog,
    StoredRevocations,
    StoredSecret,
    StoredStream,
    StoredType,
    StoredWebhook,
    decode,
    decoded_name,
    event_type_key,
    log_key,
    stored_webhook,
)
from event_gateway.core.access.api_key import ApiKey
from event_gateway.core.access.sealing import Sealed
from event_gateway.core.errors import Unknown
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.renaming import MAX_FORMER
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.tasks import Supervisor

__all__ = ["Registry", "RegistryConflict"]

T = TypeVar("T")
Kind = Literal["webhook", "stream", "secret", "type", "key"]  # of an entry; its key begins with it

CONCURRENT_WRITES = 64
_INSTALLATION_KEY = "webhook-id"  # an entry below "key." that the bucket itself reads
_REVOCATIONS = "revoked.tokens"

# Each gets an id or name and the definition; None if it was deleted.
OnWebhook = Callable[[str, Webhook | None], None]
OnStream = Callable[[str, StreamDefinition | None], None]
OnLog = Callable[[str, KnownLog], None]
OnSecret = Callable[[str], None]  # the name of a secret that was changed or deleted
OnKey = Callable[[str], None]  # the id of an API key that was changed or deleted
# The last argument: when the broker stored the change, in seconds since the epoch.
OnEventType = Callable[[str, EventType | None, float], None]


class Registry:
    """Everything that is registered, as this process has applied it, and the methods to change it.

    ``webhooks``, ``streams``, ``secrets``, ``keys`` and ``event_types`` hold the latest definitions
    that the watch has received, by id or name. ``revoked_tokens`` has the ids of revoked browser
    tokens, and until when they would have been valid. ``logs`` has what is known of the JetStream
    streams that are read by sequence; the sequences in ``webhooks`` are those that count in them.
    """

    def __init__(self, broker: Broker, peers: Peers, supervisor: Supervisor) -> None:
        self._bucket = RegistryBucket(broker, peers, supervisor, self._apply)
        self.webhooks: dict[str, Webhook] = {}
        self.streams: dict[str, StreamDefinition] = {}
        self.secrets: dict[str, Sealed] = {}
        self.keys: dict[str, ApiKey] = {}
        self.revoked_tokens: dict[str, float] = {}
        self.event_types: dict[str, EventType] = {}
        self.logs: dict[str, KnownLog] = {}
        self._renamed: dict[str, str] = {}  # by former id: the webhook that took over
        self._on_webhook: list[OnWebhook] = []
        self._on_stream: list[OnStream] = []
        self._on_secret: list[OnSecret] = []
        self._on_key: list[OnKey] = []
        self._on_event_type: list[OnEventType] = []
        self._on_log: list[OnLog] = []

    def notify(
        self,
        *,
        webhook: OnWebhook | None = None,
        stream: OnStream | None = None,
        secret: OnSecret | None = None,
        key: OnKey | None = None,
        event_type: OnEventType | None = None,
        log: OnLog | None = None,
    ) -> None:
        """Calls these functions with every change from now on, in the order of their addition.

        ``log`` gets the streams that are not those that were known before.
        """
        self._on_log += [log] if log else []
        self._on_webhook += [webhook] if webhook else []
        self._on_stream += [stream] if stream else []
        self._on_secret += [secret] if secret else []
        self._on_key += [key] if key else []
        self._on_event_type += [event_type] if event_type else []

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
        encode = msgspec.json.encode
        revoked = (
            {_REVOCATIONS: encode(StoredRevocations(FORMAT, self.revoked_tokens))}
            if self.revoked_tokens else {}
        )  # fmt: skip
        await self._bucket.restore(
            {f"webhook.{key}": encode(StoredWebhook(FORMAT, value))
             for key, value in self.webhooks.items()}
            | {f"stream.{key}": encode(StoredStream(FORMAT, value))
               for key, value in self.streams.items()}
            | {f"secret.{key}": encode(StoredSecret(FORMAT, value))
               for key, value in self.secrets.items()}
            | {f"key.{key}": encode(StoredKey(FORMAT, value)) for key, value in self.keys.items()}
            | revoked
            | {event_type_key(key): encode(StoredType(FORMAT, value))
               for key, value in self.event_types.items()}
            | {log_key(key): encode(StoredLog(FORMAT, value))
               for key, value in self.logs.items()}
        )  # fmt: skip

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

    def current_id(self, webhook_id: str) -> str:
        """The present id of a webhook that had this one; the id itself, unless it was renamed."""
        for _ in range(MAX_FORMER):
            webhook = self.webhooks.get(webhook_id)
            later = self._renamed.get(webhook_id) if webhook is None else webhook.renamed_to
            if not later or later not in self.webhooks:
                break
            webhook_id = later
        return webhook_id

    def ids_of(self, webhook_id: str) -> tuple[str, ...]:
        """The id of a webhook, and the former ones that are not those of another one by now."""
        webhook = self.webhooks.get(webhook_id)
        formerly = () if webhook is None else webhook.formerly
        return (webhook_id, *(each for each in formerly if self.current_id(each) == webhook_id))

    def is_unreadable(self, kind: Kind, name: str) -> bool:
        """Whether the registry has an entry of that name, and nothing can be made of it. It can be
        replaced as if the name were free, or deleted with :meth:`remove_unreadable`."""
        return _key(kind, name) in self.left_out and name not in self._entries(kind)

    async def remove_unreadable(self, kind: Kind, name: str) -> None:
        """Deletes an entry that cannot be read. Raises RegistryConflict where it was changed or
        deleted in between."""
        key = _key(kind, name)
        await self._bucket.delete(key)
        await self._bucket.until(lambda: key not in self.left_out)
        await self._bucket.confirmed(self._bucket.revision)

    def _entries(self, kind: Kind) -> Mapping[str, object]:
        match kind:
            case "webhook":
                return self.webhooks
            case "stream":
                return self.streams
            case "secret":
                return self.secrets
            case "type":
                return self.event_types
            case "key":
                return self.keys

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

    def webhook(self, webhook_id: str) -> Webhook:
        """The webhook with an id. Raises Unknown."""
        webhook = self.webhooks.get(webhook_id)
        if webhook is None:
            raise Unknown(f"there is no webhook {webhook_id}")
        return webhook

    def stream(self, name: str) -> StreamDefinition:
        """The named stream. Raises Unknown."""
        definition = self.streams.get(name)
        if definition is None:
            raise Unknown(f"there is no stream {name}")
        return definition

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
        value = msgspec.json.encode(StoredStream(FORMAT, definition))
        known = self.streams.get(definition.name)
        await self._put(f"stream.{definition.name}", value, known, former)

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
        await self._put(_REVOCATIONS, value, self.revoked_tokens or None, former or None)

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

    def _apply(self, key: str, data: bytes | None, time: float) -> None:
        kind, _, name = key.partition(".")
        if kind == "webhook":
            webhook = None if data is None else decode(key, data, StoredWebhook).webhook
            _check_name(name, None if webhook is None else webhook.id)
            self._set_webhook(name, None if webhook is None else webhook.counted_in(self.logs))
        elif kind == "stream":
            stream = None if data is None else decode(key, data, StoredStream).stream
            _check_name(name, None if stream is None else stream.name)
            _set(self.streams, name, stream)
            for on_stream in self._on_stream:
                on_stream(name, stream)
        elif kind == "secret":
            sealed = None if data is None else decode(key, data, StoredSecret).sealed
            _set(self.secrets, name, sealed)
            for on_secret in self._on_secret:
                on_secret(name)
        elif kind == "key" and name != _INSTALLATION_KEY:
            api_key = None if data is None else decode(key, data, StoredKey).key
            _check_name(name, None if api_key is None else api_key.id)
            _set(self.keys, name, api_key)
            for on_key in self._on_key:
                on_key(name)
        elif key == _REVOCATIONS:
            stored = None if data is None else decode(key, data, StoredRevocations)
            self.revoked_tokens = {} if stored is None else stored.tokens
        elif kind == "type":
            name = decoded_name(name)
            event_type = None if data is None else decode(key, data, StoredType).event_type
            _check_name(name, None if event_type is None else event_type.type)
            _set(self.event_types, name, event_type)
            for on_event_type in self._on_event_type:
                on_event_type(name, event_type, time)
        elif kind == "log" and data is not None:
            self._set_log(decoded_name(name), decode(key, data, StoredLog).log)
        elif kind == "log":
            self.logs.pop(decoded_name(name), None)

    def _set_webhook(self, webhook_id: str, webhook: Webhook | None) -> None:
        known = self.webhooks.get(webhook_id)
        for former in () if known is None else known.formerly:
            if self._renamed.get(former) == webhook_id:
                del self._renamed[former]
        for former in () if webhook is None else webhook.formerly:
            self._renamed[former] = webhook_id
        _set(self.webhooks, webhook_id, webhook)
        for on_webhook in self._on_webhook:
            on_webhook(webhook_id, webhook)

    def _set_log(self, stream: str, known: KnownLog) -> None:
        former, self.logs[stream] = self.logs.get(stream), known
        for webhook in list(self.webhooks.values()):
            counted = webhook.counted_in(self.logs)
            if counted is not webhook:
                with contextlib.suppress(Exception):  # an unusable webhook, which was disabled
                    self._set_webhook(webhook.id, counted)
        if former is not None and former.resets != known.resets:
            for on_log in self._on_log:
                on_log(stream, known)


def _key(kind: Kind, name: str) -> str:
    return event_type_key(name) if kind == "type" else f"{kind}.{name}"


def _check_name(name: str, stored: str | None) -> None:
    """Raises ValueError where an entry is of another name than its key, and could be neither
    replaced nor deleted."""
    if stored is not None and stored != name:
        raise ValueError(f"the entry of {name} is named {stored}")


def _set(entries: dict[str, T], name: str, entry: T | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry
