"""``/v1/webhooks/check``: what a definition of a webhook would do, before it is registered."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Request, Response

from event_gateway.api.access.callers import ManagesWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.webhooks import CheckedWebhook
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.openapi.request_bodies import CheckRequest
from event_gateway.api.routes.webhook_rules import WebhookRules, parse, warnings_of
from event_gateway.api.server.bodies import body_as, events_in
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.warnings import shown_warnings
from event_gateway.broker.registry import Registry
from event_gateway.config.response_bodies import webhook_to_json
from event_gateway.core.access.narrowing import is_narrowed, may_read, owner_of
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.streams.definition import EVENTS
from event_gateway.core.webhook.webhook import AFTER_EVERY_REGISTRATION, Webhook
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.registration.visibility import sees
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.preview import preview
from event_gateway.request.request import Unsendable
from event_gateway.request.sample_request import sample_event
from event_gateway.routing.explain import explain

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=GuardedRoute)

MAX_EVENTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookCheckParts:
    """What the route uses."""

    registry: Registry
    rules: WebhookRules
    builders: RequestBuilders
    enricher: Enricher


class _Check(msgspec.Struct, forbid_unknown_fields=True):
    webhook: dict[str, Any]
    events: Annotated[list[Any], msgspec.Meta(max_length=MAX_EVENTS)] = []


Parts = Annotated[WebhookCheckParts, Depends(provided(WebhookCheckParts))]
ToCheck = Annotated[dict[str, Any], Body(), SchemaOf(CheckRequest)]


@router.post("/check", responses=answers(CheckedWebhook))
async def check_webhook(
    request: Request, parts: Parts, caller: ManagesWebhooks, body: ToCheck
) -> Response:
    """Checks the definition of a webhook, new or changed, and changes nothing.

    With `events` (at most 100) it says of each whether it would match, or the first condition that
    does not hold. `request` is what would be sent for the first event that matches; if none does,
    for an example event that fits the first pattern.
    """
    given = body_as(_Check, body)
    events = events_in(await request.body())
    name = given.webhook.get("id")
    former = parts.registry.webhooks.get(name) if isinstance(name, str) else None
    if former is not None and not sees(caller, former):
        former = None
    owner = owner_of(caller) if former is None else former.owner
    webhook = parse(parts.rules, caller, given.webhook, owner, former)
    now = time.time()
    tried = [Received(event, EVENTS, AFTER_EVERY_REGISTRATION, now) for event in events]
    for position, received in enumerate(tried):
        if not may_read(caller, received):
            raise InvalidDefinition(
                f"events[{position}]", "is not of a namespace and type of the caller"
            )
    failures = [explain(webhook, received) for received in tried]
    matching = [event for event, failed in zip(events, failures, strict=True) if failed is None]
    sample = matching[0] if matching else sample_event(webhook)
    sent, error = await _request(parts, webhook, sample, alone=is_narrowed(caller))
    answer = {
        "webhook": webhook_to_json(webhook),
        "existing": former is not None,
        "warnings": shown_warnings(await warnings_of(parts.rules, caller, webhook)),
        "events": [
            {"id": event.id, "source": event.source, "type": event.type,
             "matches": failed is None, "failed": failed}
            for event, failed in zip(events, failures, strict=True)
        ],
        "sample": msgspec.Raw(to_structured(sample)),
        "request": sent,
        "request_error": error,
    }  # fmt: skip
    return Response(msgspec.json.encode(answer), media_type="application/json")


async def _request(
    parts: WebhookCheckParts, webhook: Webhook, event: Event, *, alone: bool
) -> tuple[dict[str, Any] | None, str | None]:
    """The request that would be sent for an event, or why none can be."""
    received = Received(event, "", 0, time.time())
    if webhook.enrich:
        await parts.enricher.preview(received, alone=alone)
    try:
        return await preview(parts.builders, webhook, webhook.transformation, received), None
    except Unsendable as error:
        return None, str(error)
