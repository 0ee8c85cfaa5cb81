"""Tools about deliveries: their attempts, why they wait, dead letters, a retry by hand."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from event_gateway.cli.assistants.bounds import MAX_ITEMS, Cursor, Limit, Text
from event_gateway.cli.assistants.events import EventId, Source, Wait
from event_gateway.cli.assistants.times import Since, Until, time_range
from event_gateway.cli.assistants.webhooks import WebhookId
from event_gateway.client import AsyncGatewayClient, GatewayError
from event_gateway.client.models.deliveries import DeliveryStatus

PAGE = 1000
MAX_SCANNED = 5000  # dead letters that one call counts
EXAMPLES = 3  # dead letters of a group that are named


class DeliverySummary(BaseModel):
    """A delivery in a list."""

    event_id: Text
    source: Text
    status: Text
    attempts: int
    updated_at: Text
    next_attempt_at: Text | None
    last_error: Text | None


class DeliveryPage(BaseModel):
    """Deliveries of a webhook, the latest change first."""

    items: list[DeliverySummary]
    next: str | None


class Attempt(BaseModel):
    """An attempt. ``response``: the beginning of what the receiver answered, which it wrote."""

    number: int
    time: Text
    duration_ms: int | None = None
    status_code: int | None = None
    error_type: Text | None = None
    error_message: Text | None = None
    response: Text | None = None


class Delivery(BaseModel):
    """A delivery with its attempts, and why it waits."""

    webhook: Text
    event_id: Text
    source: Text
    status: Text
    attempts: list[Attempt] = Field(description="The last ones.")
    attempts_omitted: int
    updated_at: Text
    next_attempt_at: Text | None
    last_error: Text | None
    run: int = Field(description="1; more after a retry of a delivery that had ended.")
    dead_letter: int | None = Field(description="The id of its latest dead letter.")
    waits: list[Wait] = Field(description="Why it has not ended; empty if it has.")
    unknown: Text | None = Field(description="Why the gateway cannot say why it waits.")


class DeadLetterExample(BaseModel):
    """A dead letter of a group."""

    id: int
    event_id: Text
    source: Text
    event_type: Text
    time: Text


class DeadLetterGroup(BaseModel):
    """Dead letters of a webhook with the same reason."""

    webhook: Text
    reason: Text
    count: int
    not_replayed: int
    oldest: Text
    newest: Text
    last_error: Text | None = Field(description="Of the newest.")
    examples: list[DeadLetterExample] = Field(description="The newest ones.")


class DeadLetters(BaseModel):
    """Dead letters by webhook and reason, the largest group first."""

    groups: list[DeadLetterGroup]
    groups_omitted: int
    counted: int
    complete: bool = Field(description="False: there are older ones; give `until` or a webhook.")


class DeliveryTools:
    """Tools about deliveries of one gateway."""

    def __init__(self, gateway: AsyncGatewayClient) -> None:
        self._gateway = gateway

    async def list_deliveries(
        self,
        webhook: WebhookId,
        status: Annotated[
            DeliveryStatus | None, Field(description="Only deliveries of this status.")
        ] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> DeliveryPage:
        """Lists the deliveries of a webhook: the last 1,000 that changed, then those that wait."""
        page = await self._gateway.list_deliveries(
            webhook, status=status, limit=limit, cursor=cursor, **time_range(since, until)
        )
        items = [DeliverySummary.model_validate(each) for each in page["items"]]
        return DeliveryPage(items=items, next=page["next"])

    async def show_delivery(
        self, webhook: WebhookId, event_id: EventId, source: Source = None
    ) -> Delivery:
        """Shows a delivery with its attempts (time, status code, latency, error, beginning of the
        response), when the next one is due, and why it waits."""
        found: Mapping[str, Any] = await self._gateway.show_delivery(
            webhook, event_id, source=source
        )
        waits, unknown = await self._waits(found)
        return _delivery(found, waits, unknown)

    async def list_dead_letters(
        self,
        webhook: Annotated[str | None, Field(description="Only of this webhook.")] = None,
        type: Annotated[
            str | None, Field(description="Only events whose type fits this pattern.")
        ] = None,
        reason: Annotated[
            str | None, Field(description="Only with this reason, such as ServerError.")
        ] = None,
        since: Since = None,
        until: Until = None,
    ) -> DeadLetters:
        """Counts dead letters (deliveries that were given up) by webhook and reason, with examples.
        Looks at the newest 5,000 that the arguments name."""
        groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        counted, cursor = 0, None
        times = time_range(since, until)
        while True:
            page = await self._gateway.list_dead_letters(
                webhook=webhook, type=type, reason=reason, limit=PAGE, cursor=cursor, **times
            )
            for letter in page["items"]:
                groups.setdefault((letter["webhook_id"], letter["reason"]), []).append(letter)
            counted += len(page["items"])
            cursor = page["next"]
            if cursor is None or counted >= MAX_SCANNED:
                break
        largest = sorted(groups.values(), key=len, reverse=True)
        return DeadLetters(
            groups=[_group(letters) for letters in largest[:MAX_ITEMS]],
            groups_omitted=max(0, len(largest) - MAX_ITEMS),
            counted=counted, complete=cursor is None,
        )  # fmt: skip

    async def retry_delivery(
        self, webhook: WebhookId, event_id: EventId, source: Source = None
    ) -> Delivery:
        """Attempts a delivery that waits at once, and sends one that has ended again: the receiver
        gets the event once more, which cannot be undone."""
        found: Mapping[str, Any] = await self._gateway.retry_delivery(
            webhook, event_id, source=source
        )
        return _delivery(found, [], None)

    async def _waits(self, found: Mapping[str, Any]) -> tuple[list[Wait], str | None]:
        if found["status"] not in ("pending", "retrying", "in_progress"):
            return [], None
        try:
            event = await self._gateway.show_event(
                found["event_id"], source=found["source"], webhook=[found["webhook_id"]]
            )
        except GatewayError as error:
            return [], error.detail
        outcome: Any = next(iter(event["webhooks"]), {})
        return [Wait.model_validate(each) for each in outcome.get("waits", ())], None


def _delivery(found: Mapping[str, Any], waits: list[Wait], unknown: str | None) -> Delivery:
    attempts = found["attempts"]
    return Delivery(
        webhook=found["webhook_id"], event_id=found["event_id"], source=found["source"],
        status=found["status"],
        attempts=[Attempt.model_validate(each) for each in attempts[-MAX_ITEMS:]],
        attempts_omitted=max(0, len(attempts) - MAX_ITEMS), updated_at=found["updated_at"],
        next_attempt_at=found["next_attempt_at"], last_error=found["last_error"],
        run=found["run"], dead_letter=found["dead_letter"], waits=waits, unknown=unknown,
    )  # fmt: skip


def _group(letters: list[Mapping[str, Any]]) -> DeadLetterGroup:
    """The group of these dead letters, the newest first."""
    newest = letters[0]
    return DeadLetterGroup(
        webhook=newest["webhook_id"], reason=newest["reason"], count=len(letters),
        not_replayed=sum(each["replayed_at"] is None for each in letters),
        oldest=letters[-1]["time"], newest=newest["time"], last_error=newest["last_error"],
        examples=[
            DeadLetterExample.model_validate(each) for each in letters[:EXAMPLES]
        ],
    )  # fmt: skip
