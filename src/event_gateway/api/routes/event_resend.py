"""``POST /v1/events/{id}/resend``: one event once more to the webhooks that it matches."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesDeliveries
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.events import ResentEvent
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.dead_letter_of_event import dead_letters_of
from event_gateway.api.routes.dead_letter_selection import DeadLetterSelection
from event_gateway.api.routes.event_lookup import EventParts, why_set_aside
from event_gateway.api.routes.event_not_found import not_found
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import registered
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.core.access.narrowing import is_narrowed, may_read
from event_gateway.core.access.principal import Principal
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.webhook.webhook import AFTER_EVERY_REGISTRATION, Webhook
from event_gateway.lookup.finder import Found, Searched
from event_gateway.registration.visibility import webhook_of, webhooks_of
from event_gateway.replay.ownership import received as received_of
from event_gateway.replay.resend import Resend, ResendResult, would_resend

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=GuardedRoute)

MAX_WEBHOOKS = 1000  # that one request sends an event to


@dataclass(frozen=True, slots=True, kw_only=True)
class ResendParts:
    """What the route uses."""

    events: EventParts
    resend: Resend


Parts = Annotated[ResendParts, Depends(provided(ResendParts))]


class _Resend(msgspec.Struct, forbid_unknown_fields=True):
    source: str | None = None
    webhooks: Annotated[list[str], msgspec.Meta(max_length=MAX_WEBHOOKS)] | None = None
    dry_run: bool = False


ResendBody = Annotated[dict[str, Any], Body(), SchemaOf(_Resend)]


@router.post("/{event_id:path}/resend", status_code=202, responses=answers(ResentEvent, 202, 409))
async def resend_event(
    parts: Parts,
    caller: ManagesDeliveries,
    call: Annotated[Call, audited("events.resend", "event/{event_id}")],
    once: Once,
    event_id: str,
    body: ResendBody,
) -> dict[str, Any]:
    """Sends an event once more: a new run for each of ``webhooks``, by default for all that it
    matches, also those that were registered later and had no delivery of it.

    ``{"source": "…", "webhooks": ["a", "b"], "dry_run": true}``. 409 if several sources have an
    event of this id and ``source`` is not given, or if the router has set the event aside; 422 if
    one of ``webhooks`` does not match it.
    Where the log does not hold the event any more, those webhooks get it that have a dead letter of
    it: 409 if one of ``webhooks`` has none. A delivery that has not ended continues as it is.
    """
    given = body_as(_Resend, body)
    call.about(after={
        "source": given.source, "webhooks": given.webhooks, "dry_run": given.dry_run,
    })  # fmt: skip
    events = parts.events
    may_see = functools.partial(may_read, caller)
    found = await events.finder.find(event_id, given.source, may_see)
    if isinstance(found, Searched):
        return await _from_dead_letters(parts, caller, event_id, given, found)
    _check_source(found, given.source)
    received = found.received
    if (set_aside := why_set_aside(events, received)) is not None:
        raise Problem(409, set_aside)
    webhooks = _webhooks(events, caller, received, given.webhooks)
    if given.dry_run:
        own = is_narrowed(caller)
        records = await events.account.records(received, webhooks, own=own)
        results = would_resend(webhooks, records)
    else:
        results = await parts.resend.resend(received, webhooks)
    return _answer(received, given, results)


async def _from_dead_letters(
    parts: ResendParts, caller: Principal, event_id: str, given: _Resend, searched: Searched
) -> dict[str, Any]:
    """Resends an event that the log does not hold any more. Raises a Problem, and NotRegistered."""
    events = parts.events
    if given.webhooks is None:
        visible = webhooks_of(caller, events.registry)
        webhooks = {name: visible[name] for name in registered(visible)}
    else:
        webhooks = {
            name: webhook_of(caller, events.registry, name)
            for name in dict.fromkeys(given.webhooks)
        }
    selection = DeadLetterSelection(events.dead_letters, events.registry)
    stored = await dead_letters_of(
        selection, events.account, caller, event_id, given.source, webhooks
    )
    if not stored:
        raise await not_found(
            caller, events.event_log, events.rejected, searched,
            event_id=event_id, source=given.source, event_type=None,
        )  # fmt: skip
    _check_sources({each.event.source for each in stored.values()})
    if given.webhooks is not None and (
        missing := [name for name in webhooks if name not in stored]
    ):
        lacking = ", ".join(missing[:10])
        raise Problem(409, f"the log does not hold the event any more, and there is no dead letter "
                           f"of it for: {lacking}")  # fmt: skip
    reached = received_of(next(iter(stored.values())))
    if given.webhooks is not None:
        chosen = _webhooks(events, caller, reached, given.webhooks)
    else:
        chosen = [
            webhooks[name]
            for name in sorted(stored)
            if events.account.mismatch(webhooks[name], reached, registered=False) is None
        ][:MAX_WEBHOOKS]
    if given.dry_run:
        records = await events.account.records(reached, chosen, own=is_narrowed(caller))
        results = would_resend(chosen, records)
    else:
        results = await parts.resend.resend_dead_letters(chosen, stored)
    return _answer(reached, given, results)


def _answer(received: Received, given: _Resend, results: list[ResendResult]) -> dict[str, Any]:
    return {
        "event_id": received.event.id,
        "source": received.event.source,
        "dry_run": given.dry_run,
        "queued": sum(result.result == "queued" for result in results),
        "items": msgspec.to_builtins(results),
    }


def _check_source(found: Found, source: str | None) -> None:
    if source is None:
        _check_sources({received.event.source for received in (found.received, *found.others)})


def _check_sources(sources: set[str]) -> None:
    if len(sources) > 1:
        named = ", ".join(sorted(sources)[:5])
        raise Problem(409, f"several sources have an event of this id, name one: {named}")


def _webhooks(
    events: EventParts, caller: Principal, received: Received, names: list[str] | None
) -> list[Webhook]:
    """The webhooks that get the event. Raises a Problem, and NotRegistered."""

    def mismatch(webhook: Webhook) -> str | None:
        return events.account.mismatch(webhook, received, registered=False)

    if names is None:
        visible = webhooks_of(caller, events.registry)
        # Whenever they were registered: as if the event came now.
        now = msgspec.structs.replace(received, seq=AFTER_EVERY_REGISTRATION)
        reached = {webhook.id for webhook in events.matching(now)}
        matching = [visible[name] for name in sorted(reached & set(registered(visible)))]
        if len(matching) > MAX_WEBHOOKS:
            raise Problem(
                409, f"the event matches {len(matching)} webhooks: name at most {MAX_WEBHOOKS}"
            )
        return matching
    named = [webhook_of(caller, events.registry, name) for name in dict.fromkeys(names)]
    errors = [
        {"key": f"webhooks[{position}]", "detail": f"{webhook.id} does not match: {reason}"}
        for position, webhook in enumerate(named)
        if (reason := mismatch(webhook)) is not None
    ]
    if errors:
        raise Problem(422, "; ".join(error["detail"] for error in errors), errors=errors)
    return named
