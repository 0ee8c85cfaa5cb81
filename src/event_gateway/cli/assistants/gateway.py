"""Tools about the gateway as a whole: its health, its streams, the event types of its catalog."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from event_gateway.cli.assistants.bounds import MAX_ITEMS, MAX_PAYLOAD, Limit, Text, clipped
from event_gateway.client import AsyncGatewayClient
from event_gateway.core.access.scope import METRICS_READ, WEBHOOKS_READ

MAX_STREAMS = 1000
MAX_TYPES = 1000  # event types that one call looks through


class HealthReason(BaseModel):
    """Why the gateway is degraded, and what to do."""

    code: Text
    text: Text
    since: Text
    remedy: Text


class Status(BaseModel):
    """The gateway at a glance. What the key may not read is null."""

    status: Text = Field(description="ok or degraded.")
    version: Text
    reasons: list[HealthReason] | None
    components_degraded: list[Text] | None
    webhooks: dict[str, int] | None = Field(description="How many there are by state.")
    waiting: int | None = Field(description="Deliveries that wait.")
    oldest_waiting_seconds: float | None
    waiting_longest: list[Text] | None = Field(description="The webhooks whose deliveries do.")
    breakers_not_closed: int | None
    dead_letters: int | None
    alerts: dict[str, int] | None
    streams: int | None


class Stream(BaseModel):
    """A named stream, and what it holds."""

    name: Text
    subjects: list[Text]
    retention: Text | None = None
    compliance: bool | None = None
    messages: int | None = None
    bytes: int | None = None
    first_time: Text | None = None


class Streams(BaseModel):
    """The named streams."""

    items: list[Stream]
    omitted: int


class EventTypeSummary(BaseModel):
    """An event type of the catalog."""

    type: Text
    description: Text
    owner: Text
    in_force: Text = Field(description="What happens to events that violate its schema.")


class EventTypes(BaseModel):
    """Event types of the catalog, by name."""

    items: list[EventTypeSummary]
    found: int
    complete: bool = Field(description="False: the catalog has more than were looked through.")


class EventType(EventTypeSummary):
    """An event type with its JSON Schema and an example, both as JSON."""

    schema_text: str | None
    example: str | None
    truncated: bool = Field(description="Only the beginning of schema or example is shown.")


class GatewayTools:
    """Tools about one gateway. ``scopes``: those of the key, None if they are not known."""

    def __init__(self, gateway: AsyncGatewayClient, scopes: frozenset[str] | None) -> None:
        self._gateway = gateway
        self._scopes = scopes

    async def gateway_status(self) -> Status:
        """Says whether the gateway is healthy, why not and what to do, and what it holds: webhooks
        by state, deliveries that wait, dead letters, alerts. Begin here when something is wrong."""
        health: Any = await self._gateway.show_health() if self._may(METRICS_READ) else {}
        overview: Any = await self._gateway.show_overview() if self._may(WEBHOOKS_READ) else {}
        queues = overview.get("queues") or {}
        return Status(
            status=health.get("status") or overview["status"],
            version=health.get("version") or overview["version"],
            reasons=[HealthReason.model_validate(each) for each in health["reasons"][:MAX_ITEMS]]
            if health else None,
            components_degraded=[
                name for name, part in health["components"].items() if part["status"] != "ok"
            ] if health else None,
            webhooks=overview.get("webhooks"), waiting=queues.get("waiting"),
            oldest_waiting_seconds=queues.get("oldest_seconds"),
            waiting_longest=[each["webhook_id"] for each in queues["worst"]] if queues else None,
            breakers_not_closed=queues.get("breakers_not_closed"),
            dead_letters=overview.get("dead_letters"), alerts=overview.get("alerts"),
            streams=overview.get("streams"),
        )  # fmt: skip

    async def list_streams(self) -> Streams:
        """Lists the named streams: which subjects each takes, and what it holds."""
        page = await self._gateway.list_streams(limit=MAX_STREAMS)
        listed: list[Mapping[str, Any]] = [dict(each) for each in page["items"]]
        items = [
            Stream.model_validate({**each, **each.get("state", {})}) for each in listed[:MAX_ITEMS]
        ]
        return Streams(items=items, omitted=max(0, len(listed) - MAX_ITEMS))

    async def list_event_types(
        self,
        contains: Annotated[
            str, Field(description="Only types whose name or description contains this.")
        ] = "",
        limit: Limit = 50,
    ) -> EventTypes:
        """Lists the event types of the catalog, also the gateway's own."""
        page = await self._gateway.list_event_types(limit=MAX_TYPES)
        found = [
            each for each in page["items"]
            if contains.lower() in f"{each['type']} {each['description']}".lower()
        ]  # fmt: skip
        items = [EventTypeSummary.model_validate(each) for each in found[:limit]]
        return EventTypes(items=items, found=len(found), complete=page["next"] is None)

    async def show_event_type(
        self, type: Annotated[str, Field(description="The event type, not a pattern.")]
    ) -> EventType:
        """Shows an event type of the catalog: its JSON Schema and an example."""
        found: Mapping[str, Any] = await self._gateway.show_event_type(type)
        texts = [
            None if value is None else json.dumps(value, ensure_ascii=False)
            for value in (found.get("schema"), next(iter(found["examples"]), None))
        ]
        schema, example = (clipped(text, MAX_PAYLOAD) for text in texts)
        return EventType.model_validate(
            dict(found) | {
                "schema_text": schema, "example": example,
                "truncated": any(len(text or "") > MAX_PAYLOAD for text in texts),
            }
        )  # fmt: skip

    def _may(self, scope: str) -> bool:
        return self._scopes is None or scope in self._scopes
