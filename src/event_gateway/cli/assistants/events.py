"""Tools about events: find them, say what became of one, send one again."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from event_gateway.cli.assistants.bounds import (
    MAX_ITEMS,
    Cursor,
    Limit,
    Payload,
    Text,
    clipped,
    payload_of,
)
from event_gateway.cli.assistants.times import Since, Until, time_range
from event_gateway.client import AsyncGatewayClient

_ATTRIBUTES = {"specversion", "id", "source", "type", "subject", "time", "data", "data_base64"}
MAX_EXTENSIONS = 20

EventId = Annotated[str, Field(description="The event's attribute `id`.")]
Source = Annotated[
    str | None,
    Field(description="The event's attribute `source`: sources may use the same ids."),
]


class EventSummary(BaseModel):
    """An event without its data."""

    id: Text
    source: Text
    type: Text
    subject: Text | None
    time: Text | None = Field(description="When it happened, as its publisher says.")
    received_at: Text | None = Field(description="When it came into the gateway's log.")
    stream: Text = Field(description="The stream of the log that has it.")
    sequence: int


class EventPage(BaseModel):
    """Events of the log, the newest first."""

    items: list[EventSummary]
    next: str | None = Field(description="Give it as `cursor` for older events; null: no more.")
    note: Text | None = Field(None, description="What this page has not searched, and why.")


class Wait(BaseModel):
    """Why a delivery has not ended."""

    reason: Text
    detail: Text
    until: Text | None


class WebhookOutcome(BaseModel):
    """What became of an event at a webhook."""

    webhook: Text
    matched: bool
    state: Text = Field(description="The state of the webhook itself.")
    not_matched_because: Text | None = Field(
        None, description="The first condition of the webhook that the event does not meet."
    )
    status: Text | None = Field(None, description="Of the delivery; null: there is none.")
    attempts: int | None = None
    max_attempts: int | None = None
    updated_at: Text | None = None
    next_attempt_at: Text | None = None
    last_error: Text | None = None
    dead_letter: int | None = Field(None, description="The id of its dead letter.")
    waits: list[Wait] = []
    unknown: Text | None = Field(None, description="What the gateway cannot say, and why.")


class Related(BaseModel):
    """A cause or an effect of an event; ``by``: the attribute that says so."""

    id: Text
    source: Text
    type: Text
    by: Text


class Explanation(BaseModel):
    """An event, and what became of it."""

    event: EventSummary
    extensions: dict[str, Text]
    payload: Payload | None
    origin: Text | None = Field(description="nats, http, or the name of a source.")
    nats_subject: Text | None
    routed: bool = Field(description="False: the gateway has not come to it yet.")
    matched_count: int
    webhooks: list[WebhookOutcome] = Field(description="Those that match come first.")
    webhooks_omitted: bool = Field(description="There are more; name one with `webhook`.")
    published_again: int = Field(description="How often the same event came again.")
    same_id: list[Text] = Field(description="Other sources that have an event of this id.")
    streams: list[Text] = Field(description="The named streams that have it.")
    causes: list[Related]
    effects: list[Related]
    unknown: list[Text] = Field(description="What the gateway cannot say, and why.")


class Resent(BaseModel):
    """An event that is sent once more, or would be."""

    event_id: Text
    source: Text
    dry_run: bool
    queued: int
    webhooks: list[dict[str, Text | None]]
    omitted: int = Field(description="How many webhooks are not shown.")


class EventTools:
    """Tools about events of one gateway."""

    def __init__(self, gateway: AsyncGatewayClient) -> None:
        self._gateway = gateway

    async def find_events(
        self,
        type: Annotated[
            str | None, Field(description="A type or a pattern: * is one token, > the rest.")
        ] = None,
        subject: Annotated[str | None, Field(description="Exactly this subject.")] = None,
        source: Annotated[str | None, Field(description="Exactly this source.")] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> EventPage:
        """Lists events of the gateway's log, the newest first, without their data. All arguments
        must hold. Few or no items with `next` are no proof that there are no others: `note` says
        what was not searched. To look one up by its id, call explain_event."""
        page = await self._gateway.list_events(
            type=type, subject=subject, source=source, limit=limit, cursor=cursor,
            **time_range(since, until),
        )  # fmt: skip
        items = [_summary(item["event"], item) for item in page["items"]]
        return EventPage(items=items, next=page["next"], note=page.get("note"))

    async def explain_event(
        self,
        event_id: EventId,
        source: Source = None,
        webhook: Annotated[
            str | None, Field(description="Only what became of it at this webhook.")
        ] = None,
        type: Annotated[
            str | None,
            Field(description="Its type, if known: it helps to say why an event is not found."),
        ] = None,
        limit: Annotated[
            int, Field(ge=1, le=MAX_ITEMS, description="The most webhooks of the answer.")
        ] = 20,
    ) -> Explanation:
        """Says where an event is and what became of it: each webhook with its delivery and why that
        waits, or with the first condition that did not hold; its streams, causes and effects.
        Webhooks are shown if the key also has webhooks:read or deliveries:read."""
        found: Mapping[str, Any] = await self._gateway.show_event(
            event_id,
            source=source,
            type=type,
            limit=limit,
            webhook=None if webhook is None else [webhook],
        )
        event = found["event"] or {"id": event_id, "source": found["source"], "type": "unknown"}
        extensions = {name: str(value) for name, value in event.items() if name not in _ATTRIBUTES}
        return Explanation(
            event=_summary(event, found),
            extensions={
                clipped(name): value for name, value in list(extensions.items())[:MAX_EXTENSIONS]
            },
            payload=payload_of(event),
            origin=found["origin"],
            nats_subject=(found["message"] or {}).get("subject"),
            routed=found["routed"],
            matched_count=found["matched_count"],
            webhooks=[_outcome(each) for each in found["webhooks"]],
            webhooks_omitted=found["next"] is not None,
            published_again=len(found["repeats"]),
            same_id=[each["source"] for each in found["others"][:MAX_ITEMS]],
            streams=[
                each["name"]
                for each in found["streams"][:MAX_ITEMS]
                if each["sequence"] is not None
            ],
            causes=[Related(**_only(each, Related)) for each in found["causes"][:MAX_ITEMS]],
            effects=[Related(**_only(each, Related)) for each in found["effects"][:MAX_ITEMS]],
            unknown=[f"{each['what']}: {each['why']}" for each in found["unknown"]],
        )

    async def resend_event(
        self,
        event_id: EventId,
        source: Source = None,
        webhooks: Annotated[
            list[str] | None,
            Field(description="Only to these webhooks; by default to all that it matches now."),
        ] = None,
        dry_run: Annotated[bool, Field(description="Only say what would be sent.")] = False,
    ) -> Resent:
        """Sends one event again: receivers get it once more, which cannot be undone. For many
        events use replay."""
        answer: Mapping[str, Any] = await self._gateway.resend_event(
            event_id, {"source": source, "webhooks": webhooks, "dry_run": dry_run}
        )
        return Resent(
            event_id=answer["event_id"],
            source=answer["source"],
            dry_run=answer["dry_run"],
            queued=answer["queued"],
            webhooks=[dict(each) for each in answer["items"][:MAX_ITEMS]],
            omitted=max(0, len(answer["items"]) - MAX_ITEMS),
        )


def _summary(event: Mapping[str, Any], place: Mapping[str, Any]) -> EventSummary:
    return EventSummary(
        id=event["id"], source=event["source"], type=event["type"], subject=event.get("subject"),
        time=event.get("time"), received_at=place["received_at"], stream=place["stream"],
        sequence=place["sequence"],
    )  # fmt: skip


def _outcome(each: Mapping[str, Any]) -> WebhookOutcome:
    shown = _only(each, WebhookOutcome)
    return WebhookOutcome(webhook=each["id"], not_matched_because=each.get("reason"), **shown)


def _only(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The members of an answer that a model has."""
    return {name: values[name] for name in model.model_fields if name in values}
