"""Deliveries that people ask for: again, at once, or not any more."""

import time
from collections.abc import Mapping

from event_gateway.broker.dead_letters import DeadLetterLog, Kept
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.registry import Registry
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import Conflict, NewerFormat, Unknown
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.state.records import FORMAT, member_of
from event_gateway.state.runs import ChangeResult, NewRun, Runs

FOR_EVER = 9e12  # seconds since the epoch
USABLE = 0.95  # of the log's retention, after which an event counts as about to be dropped


class ManualRetry:
    """``retention``: seconds for which the log keeps events, ``letters_retention`` those of dead
    letters; ``external``: seconds for which each other stream keeps them, 0: for ever.

    Its methods raise Unknown and Conflict with what stands against a request, NewerFormat,
    LogUnavailable, and what StateError names.
    """

    def __init__(
        self,
        registry: Registry,
        reader: EventReader,
        letters: DeadLetterLog,
        runs: Runs,
        retention: float,
        letters_retention: float,
        external: Mapping[str, float],
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._letters = letters
        self._runs = runs
        self.retention = retention
        self.letters_retention = letters_retention
        self._foreign = external

    def set_retention(self, events: float, dead_letters: float) -> None:
        """Uses these retentions of the log and of dead letters, in seconds, from now on."""
        self.retention = events
        self.letters_retention = dead_letters

    async def retry(self, webhook_id: str, event_id: str, source: str | None) -> str:
        """Has a delivery tried at once where it waits, and begun anew where it has ended.

        Gives which of these was done: ``hurried`` or ``queued``.
        """
        webhook = self._registry.webhook(webhook_id)
        changed = await self._runs.change(webhook_id, event_id, source, "retry")
        if changed.what == "hurried":
            return changed.what
        if changed.what != "anew":
            raise _refusal(changed, webhook_id, event_id, "tried")
        repeat = await self._anew(webhook, event_id, changed)
        _, _, codes = await self._runs.begin([repeat], "retry")
        if codes == ["waiting"]:
            raise Conflict(f"the delivery of {event_id} to {webhook_id} is on its way already")
        return codes[0]

    async def cancel(self, webhook_id: str, event_id: str, source: str | None) -> None:
        """Ends a delivery that waits."""
        changed = await self._runs.change(
            webhook_id, event_id, source, "cancel", "cancelled on request"
        )
        if changed.what != "cancelled":
            raise _refusal(changed, webhook_id, event_id, "cancelled")

    def again(self, webhook: Webhook, received: Received) -> NewRun:
        """What begins a delivery of an event anew. Its time runs from now on, but it ends before
        the log drops the event."""
        event = received.event
        kept = self._foreign.get(received.stream, self.retention)
        latest = received.time + USABLE * kept if kept else FOR_EVER
        return NewRun(
            webhook.id, event.id, event.source, received.stream, received.seq, time.time(), latest,
            ordered=webhook.ordered,
        )  # fmt: skip

    def of_letter(self, webhook: Webhook, kept: Kept, *, once: bool) -> NewRun:
        """What begins the delivery of a dead letter anew, with the event as the letter holds it.

        ``once``: not where it was begun anew before.
        """
        letter, event = kept.letter, kept.event
        return NewRun(
            webhook.id, event.id, event.source, letter.stream, letter.seq, time.time(),
            kept.time + USABLE * self.letters_retention, kept.place, once=once,
            ordered=webhook.ordered,
        )  # fmt: skip

    async def _anew(self, webhook: Webhook, event_id: str, ended: ChangeResult) -> NewRun:
        if ended.letter:
            kept = await self._letters.read(ended.letter)
            if kept is not None and kept.whole and (
                kept.letter.webhook_id, kept.event.source, member_of(kept.event.id),
            ) == (webhook.id, ended.source, member_of(event_id)):  # fmt: skip
                return self.of_letter(webhook, kept, once=False)
        received = await self._reader.read(ended.stream, ended.seq)
        if received is None or (received.event.source, member_of(received.event.id)) != (
            ended.source, member_of(event_id),
        ):  # fmt: skip
            raise Conflict(f"the log does not hold the event {event_id} any more")
        return self.again(webhook, received)


def _refusal(changed: ChangeResult, webhook_id: str, event_id: str, what: str) -> Exception:
    name = f"the delivery of {event_id} to {webhook_id}"
    match changed.what:
        case "none":
            return Unknown(f"no delivery of {event_id} to {webhook_id} is recorded")
        case "newer":
            return NewerFormat(name, FORMAT + 1, FORMAT)
        case "ended":
            return Conflict(f"{name} has ended: {changed.status}")
        case "in_order":
            return Conflict(f"{webhook_id} is ordered: {name} is {what} in its turn alone")
        case _:
            return Conflict(f"{name} cannot be {what}: its attempt runs, or is about to begin")
