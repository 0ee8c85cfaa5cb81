"""The contents of the registry, as this process has applied them: each entry by id or name."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

import msgspec

from event_gateway.broker.registry_entries import (
    FORMAT,
    REVOCATIONS,
    StoredKey,
    StoredLog,
    StoredRevocations,
    StoredSecret,
    StoredSource,
    StoredStream,
    StoredType,
    StoredWebhook,
    decode,
    decoded_name,
    event_type_key,
    log_key,
    stored_stream,
    stored_webhook,
)
from event_gateway.core.access.api_key import ApiKey
from event_gateway.core.access.sealing import Sealed
from event_gateway.core.errors import NotRegistered
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.streams.definition import StreamDefinition
from event_gateway.core.streams.known_log import KnownLog
from event_gateway.core.webhook.renaming import MAX_FORMER
from event_gateway.core.webhook.shared_parts import share_parts
from event_gateway.core.webhook.webhook import Webhook

T = TypeVar("T")
Kind = Literal[
    "webhook", "stream", "source", "secret", "type", "key"
]  # of an entry; its key begins with it

_INSTALLATION_KEY = "webhook-id"  # an entry below "key." that the bucket itself reads

# Each gets an id or name and the definition; None if it was deleted.
OnWebhook = Callable[[str, Webhook | None], None]
OnStream = Callable[[str, StreamDefinition | None], None]
OnLog = Callable[[str, KnownLog], None]
OnSecret = Callable[[str], None]  # the name of a secret that was changed or deleted
OnKey = Callable[[str], None]  # the id of an API key that was changed or deleted
# The last argument: when the broker stored the change, in seconds since the epoch.
OnEventType = Callable[[str, EventType | None, float], None]


class RegistryContents:
    """The latest definitions that the watch of the registry has received.

    ``webhooks``, ``streams``, ``sources``, ``secrets``, ``keys`` and ``event_types`` hold them by
    id or name.
    ``revoked_tokens`` has the ids of revoked browser tokens, and until when they would have been
    valid. ``logs`` has what is known of the JetStream streams that are read by sequence; the
    sequences in ``webhooks`` are those that count in them.
    """

    def __init__(self) -> None:
        self.webhooks: dict[str, Webhook] = {}
        self.streams: dict[str, StreamDefinition] = {}
        self.sources: dict[str, SourceDefinition] = {}
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

    def webhook(self, webhook_id: str) -> Webhook:
        """The webhook with an id. Raises NotRegistered."""
        webhook = self.webhooks.get(webhook_id)
        if webhook is None:
            raise NotRegistered(f"there is no webhook {webhook_id}")
        return webhook

    def stream(self, name: str) -> StreamDefinition:
        """The named stream. Raises NotRegistered."""
        definition = self.streams.get(name)
        if definition is None:
            raise NotRegistered(f"there is no stream {name}")
        return definition

    def source(self, name: str) -> SourceDefinition:
        """The source of a name. Raises NotRegistered."""
        definition = self.sources.get(name)
        if definition is None:
            raise NotRegistered(f"there is no source {name}")
        return definition

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

    def entries(self, kind: Kind) -> Mapping[str, object]:
        """All entries of a kind by id or name."""
        match kind:
            case "webhook":
                return self.webhooks
            case "stream":
                return self.streams
            case "source":
                return self.sources
            case "secret":
                return self.secrets
            case "type":
                return self.event_types
            case "key":
                return self.keys

    def encoded(self) -> dict[str, bytes]:
        """All entries in their stored form, by their keys in the bucket."""
        encode = msgspec.json.encode
        revoked = (
            {REVOCATIONS: encode(StoredRevocations(FORMAT, self.revoked_tokens))}
            if self.revoked_tokens else {}
        )  # fmt: skip
        return (
            {f"webhook.{key}": encode(stored_webhook(value))
             for key, value in self.webhooks.items()}
            | {f"stream.{key}": encode(stored_stream(value))
               for key, value in self.streams.items()}
            | {f"source.{key}": encode(StoredSource(FORMAT, value))
               for key, value in self.sources.items()}
            | {f"secret.{key}": encode(StoredSecret(FORMAT, value))
               for key, value in self.secrets.items()}
            | {f"key.{key}": encode(StoredKey(FORMAT, value)) for key, value in self.keys.items()}
            | revoked
            | {event_type_key(key): encode(StoredType(FORMAT, value))
               for key, value in self.event_types.items()}
            | {log_key(key): encode(StoredLog(FORMAT, value))
               for key, value in self.logs.items()}
        )  # fmt: skip

    def apply(self, key: str, data: bytes | None, time: float) -> None:
        """Applies a change of the bucket, and tells those who wait for it. ``data``: None if the
        entry was deleted; ``time``: when the broker stored it. Raises NewerFormat, ValueError, and
        msgspec.DecodeError.
        """
        kind, _, name = key.partition(".")
        if kind == "webhook":
            webhook = None
            if data is not None:
                webhook = share_parts(decode(key, data, StoredWebhook).webhook)
                _check_name(name, webhook.id)
                name = webhook.id  # the same text, once
            self._set_webhook(name, None if webhook is None else webhook.counted_in(self.logs))
        elif kind == "stream":
            stream = None if data is None else decode(key, data, StoredStream).stream
            _check_name(name, None if stream is None else stream.name)
            _set(self.streams, name, stream)
            for on_stream in self._on_stream:
                on_stream(name, stream)
        elif kind == "source":
            source = None if data is None else decode(key, data, StoredSource).source
            _check_name(name, None if source is None else source.name)
            _set(self.sources, name, source)
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
        elif key == REVOCATIONS:
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
