"""The registry: webhooks, streams, event types, sealed secrets and the installation's own key, in a
JetStream key-value bucket.

Every process watches the bucket, so that a change is in force everywhere without a restart, and
survives the loss of Redis.
"""

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import structlog
from nats.js.errors import (
    APIError,
    BucketNotFoundError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
)
from nats.js.kv import KeyValue

from event_gateway.broker.connection import Broker
from event_gateway.broker.peers import Peers
from event_gateway.broker.provision import ensure, existing
from event_gateway.broker.pull import Pulled
from event_gateway.broker.stream_follower import follow
from event_gateway.core.access.sealing import Sealed
from event_gateway.core.errors import NewerFormat, Unknown
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.tasks import Supervisor, end

log = structlog.get_logger(__name__)
T = TypeVar("T")

BUCKET = "GATEWAY_REGISTRY"
FORMAT = 3  # of what is stored; a newer one than known is not read
STALLED = 30.0  # seconds for which nothing comes of a registry that is read at the start
TOGETHER = 64  # entries on their way to the broker at once
APPLY_TIMEOUT = 2.0  # seconds until a change must be in force
_PREFIX = f"$KV.{BUCKET}."
_INSTALLATION_KEY = "key.webhook-id"
# What a key of the bucket cannot hold, and dots that would leave a token of it empty.
_NOT_IN_KEY = re.compile(rb"[^A-Za-z0-9_.-]|^\.|\.$|(?<=\.)\.")
_ENCODED = re.compile(rb"=([0-9A-F]{2})")


class RegistryConflict(Exception):
    """The entry was changed by somebody else in between, or is there already."""


class _StoredWebhook(msgspec.Struct):
    v: int
    webhook: Webhook


class _StoredStream(msgspec.Struct):
    v: int
    stream: StreamDefinition


class _StoredSecret(msgspec.Struct):
    v: int
    sealed: Sealed


class _StoredType(msgspec.Struct):
    v: int
    event_type: EventType


class _Version(msgspec.Struct):
    v: int = 0


class Registry:
    """What is registered, as this process knows it, and the way to change it.

    ``webhooks``, ``streams`` and ``event_types`` are always the newest that the watch has brought.
    A callback in ``on_webhook`` gets each change: id, and the webhook or None where it is gone; one
    in ``on_stream`` the same of streams, one in ``on_secret`` the name of a secret that is another.
    One in ``on_event_type`` gets name, type or None, and when the broker took the change, in
    seconds since the epoch.
    """

    def __init__(self, broker: Broker, peers: Peers, supervisor: Supervisor) -> None:
        self._broker = broker
        self._supervisor = supervisor
        self._bucket: KeyValue | None = None
        self._watch: asyncio.Task[None] | None = None
        self._applied = 0
        self._changed = asyncio.Condition()
        self._revisions: dict[str, int] = {}
        self._newer: NewerFormat | None = None
        self._peers = peers
        self.webhooks: dict[str, Webhook] = {}
        self.streams: dict[str, StreamDefinition] = {}
        self.secrets: dict[str, Sealed] = {}
        self.left_out: set[str] = set()
        self.event_types: dict[str, EventType] = {}
        self.on_webhook: list[Callable[[str, Webhook | None], None]] = []
        self.on_stream: list[Callable[[str, StreamDefinition | None], None]] = []
        self.on_secret: list[Callable[[str], None]] = []
        self.on_event_type: list[Callable[[str, EventType | None, float], None]] = []

    async def open(self) -> bytes:
        """Opens (or makes) the bucket; gives the installation's own key, made on first use."""
        js = self._broker.js
        try:
            self._bucket = await js.key_value(BUCKET)
        except BucketNotFoundError:
            self._bucket = await js.create_key_value(
                bucket=BUCKET, history=1, direct=True, replicas=self._broker.replicas or 1
            )
        stream = await existing(self._broker, f"KV_{BUCKET}")
        if stream is not None and self._broker.replicas not in (None, stream.num_replicas):
            stream.num_replicas = self._broker.replicas
            await ensure(self._broker, stream)
        with contextlib.suppress(KeyWrongLastSequenceError):  # made at an earlier start
            await self._bucket.create(_INSTALLATION_KEY, secrets.token_hex(32).encode())
        entry = await self._bucket.get(_INSTALLATION_KEY)
        return bytes.fromhex((entry.value or b"").decode())

    async def watch(self) -> None:
        """Begins to follow the bucket; returns once all that it holds is known.

        Raises NewerFormat where an entry is of a newer version: half a registry is none; and
        TimeoutError where nothing more comes, however long it takes as long as something does.
        """
        js = self._broker.js
        last = (await js.stream_info(f"KV_{BUCKET}")).state.last_seq
        self._watch = self._supervisor.start("registry", self._follow)
        while self._applied < last and self._newer is None:
            before = self._applied
            try:
                await self.applied(last, timeout=STALLED)
            except TimeoutError:
                if self._applied == before:
                    raise TimeoutError(
                        f"the registry was read up to revision {before} of {last}, then nothing "
                        f"came for {STALLED:.0f} s"
                    ) from None
        if self._newer is not None:
            raise self._newer

    async def stop(self) -> None:
        """Ends the watch."""
        await end([self._watch])

    @property
    def revision(self) -> int:
        """That of the latest change which this process has taken up."""
        return self._applied

    async def applied(self, revision: int, timeout: float = APPLY_TIMEOUT) -> None:
        """Returns once this process has taken up the change of that revision.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(lambda: self._applied >= revision)

    def webhook(self, webhook_id: str) -> Webhook:
        """The webhook of an id. Raises Unknown."""
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
        """Writes a webhook and waits until it is in force in every process that lives.

        ``former`` is the one that it takes the place of, None where the id must be free. Raises
        RegistryConflict where that is not so any more.
        """
        value = msgspec.json.encode(_StoredWebhook(FORMAT, webhook))
        await self._put(f"webhook.{webhook.id}", value, self.webhooks.get(webhook.id), former)

    async def put_stream(
        self, definition: StreamDefinition, former: StreamDefinition | None
    ) -> None:
        """Writes a stream's definition as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(_StoredStream(FORMAT, definition))
        known = self.streams.get(definition.name)
        await self._put(f"stream.{definition.name}", value, known, former)

    async def put_secret(self, name: str, sealed: Sealed, former: Sealed | None) -> None:
        """Writes a sealed secret as :meth:`put_webhook` does a webhook."""
        value = msgspec.json.encode(_StoredSecret(FORMAT, sealed))
        await self._put(f"secret.{name}", value, self.secrets.get(name), former)

    async def put_event_types(self, changes: Sequence[tuple[EventType, EventType | None]]) -> None:
        """Writes event types, each as :meth:`put_webhook` does a webhook, and waits once for all.

        Where it fails some of them are written.
        """
        last = 0
        for start in range(0, len(changes), TOGETHER):
            revisions = await asyncio.gather(*(
                self._write(
                    _type_key(new.type), msgspec.json.encode(_StoredType(FORMAT, new)),
                    self.event_types.get(new.type), former,
                )
                for new, former in changes[start : start + TOGETHER]
            ))  # fmt: skip
            last = max(last, *revisions)
        if last:
            await self.applied(last)
            await self._peers.confirmed(last, APPLY_TIMEOUT)

    async def remove_event_type(self, event_type: EventType) -> None:
        """Forgets this type. Raises RegistryConflict where it is gone, or another by now."""
        name = event_type.type
        await self._remove(_type_key(name), self.event_types, name, event_type)

    async def remove_secret(self, name: str, sealed: Sealed) -> None:
        """Forgets this secret. Raises RegistryConflict where it is gone, or another by now."""
        await self._remove(f"secret.{name}", self.secrets, name, sealed)

    async def remove_stream(self, definition: StreamDefinition) -> None:
        """Forgets this stream, so that its name is free again.

        Raises RegistryConflict where it is gone, or is another one by now.
        """
        await self._remove(f"stream.{definition.name}", self.streams, definition.name, definition)

    async def remove_webhook(self, webhook: Webhook) -> None:
        """Forgets this webhook, so that its id is free again.

        Raises RegistryConflict where it is gone, or is another one by now.
        """
        await self._remove(f"webhook.{webhook.id}", self.webhooks, webhook.id, webhook)

    @property
    def _kv(self) -> KeyValue:
        assert self._bucket is not None, "the registry was not started"
        return self._bucket

    async def _remove(
        self, key: str, known: Mapping[str, object], name: str, meant: object
    ) -> None:
        if known.get(name) != meant:
            raise RegistryConflict(f"{key} is gone, or is another one by now")
        try:
            await self._kv.delete(key, last=self._revisions[key])
        except APIError as error:
            raise RegistryConflict(f"{key}: {error.description}") from None
        async with asyncio.timeout(APPLY_TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: known.get(name) != meant)
        await self._peers.confirmed(self._applied, APPLY_TIMEOUT)

    async def _put(self, key: str, value: bytes, known: object, former: object) -> None:
        revision = await self._write(key, value, known, former)
        await self.applied(revision)
        await self._peers.confirmed(revision, APPLY_TIMEOUT)

    async def _write(self, key: str, value: bytes, known: object, former: object) -> int:
        if known != former:
            raise RegistryConflict(key)
        try:
            if former is None:
                return await self._kv.create(key, value)
            return await self._kv.update(key, value, last=self._revisions[key])
        except (KeyWrongLastSequenceError, KeyNotFoundError):
            raise RegistryConflict(key) from None
        except APIError as error:
            raise RegistryConflict(f"{key}: {error.description}") from None

    async def _follow(self) -> None:
        # A later run goes on where the former one crashed.
        begin = self._applied + 1 if self._applied else None
        async for batch in follow(
            self._broker, f"KV_{BUCKET}", from_seq=begin, last_per_subject=begin is None
        ):
            for pulled in batch:
                self._apply(pulled)
            if batch:
                async with self._changed:
                    self._applied = batch[-1].seq
                    self._changed.notify_all()
                self._peers.announce(self._applied)

    def _apply(self, pulled: Pulled) -> None:
        key = pulled.subject.removeprefix(_PREFIX)
        self.left_out.discard(key)
        try:
            self._take(key, pulled)
        except NewerFormat as error:
            self._newer = self._newer or error
            log.error("registry entry left alone", key=key, error=str(error))
        except Exception:  # one that cannot be worked with must not keep the others away
            self.left_out.add(key)
            log.exception("registry entry not understood, left out", key=key)

    def _take(self, key: str, pulled: Pulled) -> None:
        kind, _, name = key.partition(".")
        gone = bool(pulled.headers and pulled.headers.get("KV-Operation"))
        if gone:
            self._revisions.pop(key, None)
        else:
            self._revisions[key] = pulled.seq
        if kind == "webhook":
            webhook = None if gone else _decode(key, pulled.data, _StoredWebhook).webhook
            if webhook is None:
                self.webhooks.pop(name, None)
            else:
                self.webhooks[name] = webhook
            for notify in self.on_webhook:
                notify(name, webhook)
        elif kind == "stream":
            stream = None if gone else _decode(key, pulled.data, _StoredStream).stream
            if stream is None:
                self.streams.pop(name, None)
            else:
                self.streams[name] = stream
            for tell in self.on_stream:
                tell(name, stream)
        elif kind == "secret":
            if gone:
                self.secrets.pop(name, None)
            else:
                self.secrets[name] = _decode(key, pulled.data, _StoredSecret).sealed
            for changed in self.on_secret:
                changed(name)
        elif kind == "type":
            name = _type_of(name)
            found = None if gone else _decode(key, pulled.data, _StoredType).event_type
            if found is None:
                self.event_types.pop(name, None)
            else:
                self.event_types[name] = found
            for hear in self.on_event_type:
                hear(name, found, pulled.time)


def _type_key(name: str) -> str:
    """The bucket's key of an event type, whose name may hold what a key may not."""
    encoded = _NOT_IN_KEY.sub(lambda m: b"=%02X" % m[0][0], name.encode())
    return f"type.{encoded.decode()}"


def _type_of(encoded: str) -> str:
    decoded = _ENCODED.sub(lambda m: bytes((int(m[1], 16),)), encoded.encode())
    return decoded.decode(errors="replace")


def _decode(key: str, data: bytes, kind: type[T]) -> T:
    version = msgspec.json.decode(data, type=_Version).v
    if version > FORMAT:
        raise NewerFormat(f"the registry's entry {key}", version, FORMAT)
    return msgspec.json.decode(data, type=kind)
