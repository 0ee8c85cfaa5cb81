"""Retries and cancellations of single deliveries by hand, through the API."""

from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import Conflict, NewerFormat, Unknown
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.replay.new_runs import NewRuns
from event_gateway.state.records import FORMAT, member_of
from event_gateway.state.runs import ChangeResult, NewRun, Runs


class ManualRetry:
    """Its methods raise Unknown; Conflict with the reason why a request is refused; NewerFormat,
    LogUnavailable, and what StateError names."""

    def __init__(
        self,
        registry: Registry,
        *,
        reader: EventReader,
        dead_letters: DeadLetterLog,
        runs: Runs,
        new_runs: NewRuns,
    ) -> None:
        self._registry = registry
        self._reader = reader
        self._dead_letters = dead_letters
        self._runs = runs
        self._new_runs = new_runs

    async def retry(self, webhook_id: str, event_id: str, source: str | None) -> str:
        """Attempts a pending delivery at once; starts a new run of one that has ended.

        Returns ``hurried`` or ``queued`` for these two.
        """
        webhook = self._registry.webhook(webhook_id)
        changed = await self._runs.change(webhook_id, event_id, source, "retry")
        if changed.what == "hurried":
            return changed.what
        if changed.what != "anew":
            raise _refusal(changed, webhook_id, event_id, "tried")
        run = await self._new_run(webhook, event_id, changed)
        _, _, codes = await self._runs.begin([run], "retry")
        if codes == ["waiting"]:
            raise Conflict(f"the delivery of {event_id} to {webhook_id} is pending already")
        return codes[0]

    async def cancel(self, webhook_id: str, event_id: str, source: str | None) -> None:
        """Cancels a pending delivery."""
        changed = await self._runs.change(
            webhook_id, event_id, source, "cancel", "cancelled on request"
        )
        if changed.what != "cancelled":
            raise _refusal(changed, webhook_id, event_id, "cancelled")

    async def _new_run(self, webhook: Webhook, event_id: str, ended: ChangeResult) -> NewRun:
        """From the dead letter of the delivery where there is one, else from the log."""
        if ended.letter:
            dead_letter = await self._dead_letters.read(ended.letter)
            if dead_letter is not None and dead_letter.whole and (
                dead_letter.letter.webhook_id, dead_letter.event.source,
                member_of(dead_letter.event.id),
            ) == (webhook.id, ended.source, member_of(event_id)):  # fmt: skip
                return self._new_runs.of_dead_letter(webhook, dead_letter, once=False)
        received = await self._reader.read(ended.stream, ended.seq)
        if received is None or (received.event.source, member_of(received.event.id)) != (
            ended.source, member_of(event_id),
        ):  # fmt: skip
            raise Conflict(f"the log no longer holds the event {event_id}")
        return self._new_runs.of_event(webhook, received)


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
            return Conflict(
                f"{webhook_id} is ordered: {name} cannot be {what} before the ones ahead of it"
            )
        case _:
            return Conflict(f"{name} cannot be {what} while its attempt runs or starts")
