"""Retries and cancellations of single deliveries by hand, through the API."""

from event_gateway.broker.dead_letters import DeadLetterLog
from event_gateway.broker.event_reader import EventReader
from event_gateway.broker.registry import Registry
from event_gateway.core.errors import Conflict, NewerFormat, NotRegistered
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.replay.new_runs import NewRuns
from event_gateway.state.records import FORMAT, member_of
from event_gateway.state.runs import ChangeResult, NewRun, Runs


class ManualRetry:
    """Retries and cancels deliveries.

    Methods raise NotRegistered; Conflict with the reason for a refusal; NewerFormat,
    LogUnavailable, and the exceptions in StateError.
    """

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
        """Makes a pending delivery due at once; starts a new run of a delivery that has ended.

        Returns ``due`` for the first, ``queued`` for the second.
        """
        webhook = self._registry.webhook(webhook_id)
        changed = await self._runs.change(webhook_id, event_id, source, "retry")
        if changed.result == "due":
            return changed.result
        if changed.result != "needs_run":
            raise _refusal(changed, webhook_id, event_id, "retried")
        run = await self._new_run(webhook, event_id, changed)
        _, _, results = await self._runs.start([run], "retry")
        if results == ["waiting"]:
            raise Conflict(f"the delivery of {event_id} to {webhook_id} is pending already")
        return results[0]

    async def cancel(self, webhook_id: str, event_id: str, source: str | None) -> None:
        """Cancels a pending delivery."""
        changed = await self._runs.change(
            webhook_id, event_id, source, "cancel", "cancelled on request"
        )
        if changed.result != "cancelled":
            raise _refusal(changed, webhook_id, event_id, "cancelled")

    async def _new_run(self, webhook: Webhook, event_id: str, ended: ChangeResult) -> NewRun:
        """A run with the event from the delivery's dead letter, else from the log."""
        if ended.dead_letter:
            dead_letter = await self._dead_letters.read(ended.dead_letter)
            if dead_letter is not None and dead_letter.has_event and (
                dead_letter.body.webhook_id, dead_letter.event.source,
                member_of(dead_letter.event.id),
            ) == (webhook.id, ended.source, member_of(event_id)):  # fmt: skip
                return self._new_runs.of_dead_letter(webhook, dead_letter, once=False)
        received = await self._reader.read(ended.stream, ended.seq)
        if received is None or (received.event.source, member_of(received.event.id)) != (
            ended.source, member_of(event_id),
        ):  # fmt: skip
            raise Conflict(f"the log no longer holds the event {event_id}")
        return self._new_runs.of_event(webhook, received)


def _refusal(changed: ChangeResult, webhook_id: str, event_id: str, done: str) -> Exception:
    name = f"the delivery of {event_id} to {webhook_id}"
    match changed.result:
        case "none":
            return NotRegistered(f"no delivery of {event_id} to {webhook_id} is recorded")
        case "newer":
            return NewerFormat(name, FORMAT + 1, FORMAT)
        case "ended":
            return Conflict(f"{name} has ended: {changed.status}")
        case "in_order":
            return Conflict(
                f"{webhook_id} is ordered: {name} cannot be {done} before earlier deliveries"
            )
        case _:
            return Conflict(f"{name} cannot be {done} while its attempt runs or starts")
