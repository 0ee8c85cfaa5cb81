"""Sends one event of the log once more, to one, several or all of the webhooks that it matches."""

from collections.abc import Mapping, Sequence

import msgspec

from event_gateway.broker.dead_letters import StoredDeadLetter
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.delivery import FINAL
from event_gateway.core.webhook.webhook import Webhook
from event_gateway.replay.new_runs import NewRuns
from event_gateway.state.ledger import MAX_RECORDS
from event_gateway.state.records import Record
from event_gateway.state.runs import Runs

RUN_BY = "resend"
_DETAILS = {
    "queued": "",
    "waiting": "the delivery has not ended: its present run continues; retry makes it due at once",
    "newer": "a newer version of the gateway wrote the record",
    "done": "a run was started before",
}


class ResendResult(msgspec.Struct, frozen=True):
    """What was done for a webhook: ``queued`` (a new run begins), ``waiting`` (the delivery has not
    ended, its present run continues) or ``newer``."""

    webhook_id: str
    result: str
    detail: str | None = None


class Resend:
    """Starts new runs of one event. Raises the exceptions in StateError."""

    def __init__(self, runs: Runs, new_runs: NewRuns) -> None:
        self._runs = runs
        self._new_runs = new_runs

    async def resend(self, received: Received, webhooks: Sequence[Webhook]) -> list[ResendResult]:
        """Queues a new run for each webhook."""
        results: list[str] = []
        for start in range(0, len(webhooks), MAX_RECORDS):
            part = webhooks[start : start + MAX_RECORDS]
            runs = [self._new_runs.of_event(webhook, received) for webhook in part]
            _, _, done = await self._runs.start(runs, RUN_BY)
            results += done
        return [_resent(each.id, done) for each, done in zip(webhooks, results, strict=True)]

    async def resend_dead_letters(
        self, webhooks: Sequence[Webhook], dead_letters: Mapping[str, StoredDeadLetter]
    ) -> list[ResendResult]:
        """Queues a new run for each webhook, with the event that its dead letter holds."""
        runs = [
            self._new_runs.of_dead_letter(webhook, dead_letters[webhook.id], once=False)
            for webhook in webhooks
        ]
        results: list[str] = []
        for start in range(0, len(runs), MAX_RECORDS):
            _, _, done = await self._runs.start(runs[start : start + MAX_RECORDS], RUN_BY)
            results += done
        return [_resent(each.id, done) for each, done in zip(webhooks, results, strict=True)]


def would_resend(webhooks: Sequence[Webhook], records: Mapping[str, Record]) -> list[ResendResult]:
    """What :meth:`Resend.resend` would do, by the records that there are now."""
    return [
        _resent(
            webhook.id,
            "queued"
            if webhook.id not in records or records[webhook.id].status in FINAL
            else "waiting",
        )
        for webhook in webhooks
    ]


def _resent(webhook_id: str, result: str) -> ResendResult:
    return ResendResult(webhook_id, result, _DETAILS.get(result) or None)
