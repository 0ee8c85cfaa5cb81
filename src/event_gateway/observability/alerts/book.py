"""The alerts and silences as they are stored: every process follows them, and shows them."""

import time
from collections import deque
from collections.abc import Iterator

import msgspec
import structlog

from event_gateway.broker.status_bucket import StatusBucket
from event_gateway.core.observability.alert import Alert
from event_gateway.core.observability.alert_rules import NAMES
from event_gateway.core.observability.reason import Reason
from event_gateway.core.observability.reason_codes import ALERT as ALERT_REASON
from event_gateway.core.observability.silence import MAX_SILENCES, Silence, silence_of

log = structlog.get_logger(__name__)

MAX_REMOVED = 2000  # silences that are removed within REMOVED_FOR; then no further one is taken
REMOVED_FOR = 2 * 3600.0  # seconds, after which the markers of their deletion are gone for sure
MAX_REASONS = 10  # alerts that are reasons of degraded health one by one
ALERT = "alert."
SILENCE = "silence."
OVER_ALL = "=all"  # no id of a webhook

Key = tuple[str, str | None]
_encode = msgspec.json.Encoder().encode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_silence = msgspec.json.Decoder(Silence).decode


class AlertBook:
    """The entries of the status bucket that are about alerts. Methods that write raise
    LogUnavailable."""

    def __init__(self, bucket: StatusBucket) -> None:
        self._bucket = bucket
        self._alerts: dict[Key, Alert] = {}
        self._silences: dict[str, Silence] = {}
        self._revisions: dict[str, int] = {}
        self._removed: deque[float] = deque(maxlen=MAX_REMOVED)  # when silences were removed
        self._lost: set[str] = set()  # keys that the bucket lost

    async def read(self) -> None:
        """Reads all entries. Raises LogUnavailable."""
        for prefix in (ALERT, SILENCE):
            for key, entry in (await self._bucket.read_all(prefix)).items():
                self.apply(key, entry.value, entry.revision)

    async def follow(self) -> None:
        """Applies each change, also those of other processes. It never ends."""
        await self._bucket.watch("", self.apply)

    def bucket_recreated(self) -> None:
        """The bucket is another one, without what was stored: :meth:`restore` stores it again."""
        self._lost.update(self._revisions)
        self._revisions.clear()

    async def restore(self) -> None:
        """Stores again what the bucket has lost. The leader calls this, as the others have the same
        from it."""
        for key in list(self._lost):
            value = self._value_of(key)
            if value is not None:
                await self._write(key, value)
            self._lost.discard(key)

    @property
    def alerts(self) -> dict[Key, Alert]:
        """All alerts, resolved ones too."""
        return self._alerts

    @property
    def silences(self) -> list[Silence]:
        """The silences that have not ended, the first to end first."""
        now = time.time()
        left = [silence for silence in self._silences.values() if silence.until > now]
        return sorted(left, key=lambda silence: silence.until)

    @property
    def all_silences(self) -> list[Silence]:
        """The silences that are stored."""
        return list(self._silences.values())

    @property
    def takes_silences(self) -> bool:
        """Whether another silence may be stored. One that was removed needs its place in the bucket
        for a while, so that nobody can fill the bucket by making and removing them."""
        since = time.monotonic() - REMOVED_FOR
        while self._removed and self._removed[0] < since:
            self._removed.popleft()
        return len(self.silences) < MAX_SILENCES and len(self._removed) < MAX_REMOVED

    def silence(self, silence_id: str) -> Silence | None:
        """The silence with an id; None if there is none that has not ended."""
        silence = self._silences.get(silence_id)
        return silence if silence is not None and silence.until > time.time() else None

    def silence_of(self, alert: Alert) -> Silence | None:
        """The silence that applies to an alert now."""
        return silence_of(self._silences.values(), alert, time.time())

    def firing(self) -> Iterator[Alert]:
        """The alerts that fire and are not silenced."""
        return (
            alert
            for alert in self._alerts.values()
            if alert.state == "firing" and self.silence_of(alert) is None
        )

    def reasons(self) -> Iterator[Reason]:
        """Why the gateway's health is degraded: the alerts that fire, are not silenced, and were
        announced."""
        announced = [alert for alert in self.firing() if alert.announced == "firing"]
        announced.sort(key=lambda alert: (alert.webhook or "", alert.name))
        for alert in announced[:MAX_REASONS]:
            about = f" of the webhook {alert.webhook}" if alert.webhook is not None else ""
            yield Reason(ALERT_REASON, f"the alert {alert.name}{about}: {alert.detail}",
                         "/".join(each or "" for each in alert.key), alert.since)  # fmt: skip
        if len(announced) > MAX_REASONS:
            yield Reason(ALERT_REASON, f"{len(announced) - MAX_REASONS} more alerts fire", "more")

    def counts(self) -> dict[tuple[str, str], int]:
        """How many alerts there are of each name in each state."""
        counts = {(name, state): 0 for name in NAMES for state in ("pending", "firing")}
        for alert in self._alerts.values():
            if (alert.name, alert.state) in counts:
                counts[alert.name, alert.state] += 1
        return counts

    async def write(self, alert: Alert) -> bool:
        """Stores an alert in place of the one that is known; False if another process has changed
        it meanwhile: then that is known."""
        return await self._write(_alert_key(alert.key), _encode(alert))

    async def remove(self, key: Key) -> None:
        """Deletes an alert, unless another process has changed it meanwhile."""
        await self._delete(_alert_key(key))

    async def add_silence(self, silence: Silence) -> bool:
        """Stores a silence."""
        return await self._write(f"{SILENCE}{silence.id}", _encode(silence))

    async def remove_silence(self, silence_id: str) -> None:
        """Deletes a silence."""
        await self._delete(f"{SILENCE}{silence_id}")

    def apply(self, key: str, value: bytes | None, revision: int) -> None:
        """Applies an entry, unless a newer one of the key is known. ``value``: None if it was
        deleted."""
        if not key.startswith((ALERT, SILENCE)) or revision <= self._revisions.get(key, 0):
            return
        self._lost.discard(key)
        if value is None:
            self._revisions.pop(key, None)
        else:
            self._revisions[key] = revision
        try:
            if key.startswith(ALERT):
                self._apply_alert(key, value)
            else:
                self._apply_silence(key.removeprefix(SILENCE), value)
        except msgspec.DecodeError as error:
            log.warning("an alert or silence is left out: another version of the gateway stored it",
                        key=key, error=str(error))  # fmt: skip

    def _apply_alert(self, key: str, value: bytes | None) -> None:
        if value is not None:
            alert = _decode_alert(value)
            self._alerts[alert.key] = alert
            return
        self._alerts.pop(_key_of(key), None)

    def _apply_silence(self, silence_id: str, value: bytes | None) -> None:
        if value is None:
            if self._silences.pop(silence_id, None) is not None:
                self._removed.append(time.monotonic())
        else:
            self._silences[silence_id] = _decode_silence(value)

    def _value_of(self, key: str) -> bytes | None:
        if key.startswith(ALERT):
            alert = self._alerts.get(_key_of(key))
            return None if alert is None else _encode(alert)
        silence = self._silences.get(key.removeprefix(SILENCE))
        return None if silence is None else _encode(silence)

    async def _write(self, key: str, value: bytes) -> bool:
        known = self._revisions.get(key, 0)
        revision = await self._bucket.write(key, value, known)
        if revision is None and known and await self._bucket.read(key) is None:
            # The bucket is another one, which this process has not heard of yet.
            revision = await self._bucket.write(key, value)
        if revision is None:
            await self._read_again(key)
            return False
        self.apply(key, value, revision)
        return True

    async def _delete(self, key: str) -> None:
        revision = self._revisions.get(key, 0)
        if await self._bucket.delete(key, revision):
            if self._revisions.get(key, 0) == revision:
                self._forget(key)
        else:
            await self._read_again(key)

    async def _read_again(self, key: str) -> None:
        entry = await self._bucket.read(key)
        self._forget(key)
        if entry is not None:
            self.apply(key, entry.value, entry.revision)

    def _forget(self, key: str) -> None:
        """Forgets an entry that is not stored any more, such as after a loss of the bucket."""
        self._revisions.pop(key, None)
        if key.startswith(ALERT):
            self._apply_alert(key, None)
        else:
            self._apply_silence(key.removeprefix(SILENCE), None)


def _alert_key(key: Key) -> str:
    name, webhook = key
    return f"{ALERT}{name}.{OVER_ALL if webhook is None else webhook}"


def _key_of(key: str) -> Key:
    name, _, webhook = key.removeprefix(ALERT).partition(".")
    return name, None if webhook == OVER_ALL else webhook
