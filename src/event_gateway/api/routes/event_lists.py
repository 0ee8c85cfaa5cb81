"""``GET /v1/events``: lists events of the log, the newest first."""

import functools
import math
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from event_gateway.api.access.callers import ReadsEvents
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.events import EventPage
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import (
    NOT_TOLD,
    Limit,
    Total,
    at_most,
    cursor_of,
    is_whole,
    page_members,
    read_cursor,
    time_of,
)
from event_gateway.core.access.narrowing import is_narrowed, may_read, may_touch
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.text.times import rfc3339
from event_gateway.lookup.backward_reading import NOTE
from event_gateway.lookup.listing import EventList, EventPosition, ListedEvents
from event_gateway.lookup.stream_reader import EventQuery

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=GuardedRoute)

MAX_TEXT = 4096  # characters of a source, a subject, an id


@dataclass(frozen=True, slots=True, kw_only=True)
class EventListParts:
    """What the route uses."""

    listing: EventList


Parts = Annotated[EventListParts, Depends(provided(EventListParts))]
Type = Annotated[str | None, Query(description="A pattern of types.")]
Source = Annotated[str | None, Query(max_length=MAX_TEXT, description="Of this source.")]
Subject = Annotated[str | None, Query(max_length=MAX_TEXT, description="Of this subject.")]
Since = Annotated[str | None, Query(description="RFC 3339: received at or after this time.")]
Until = Annotated[str | None, Query(description="RFC 3339: received before this time.")]


@router.get("", responses=answers(EventPage))
async def list_events(
    parts: Parts,
    caller: ReadsEvents,
    type: Type = None,
    source: Source = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> Response:
    """The events in the log, the newest first. New events do not move the pages that follow.

    ``type`` is a pattern (``*`` for one token, ``>`` for the rest); with one of lifecycle events,
    the list is of these. A request reads at most 20,000 messages, for 2 s: a page may hold fewer
    than ``limit`` items, or none, and have a next page; ``note`` says what was not searched.
    ``read`` says how many it has read, ``total`` how many there are by their type and time: null
    with ``source`` or ``subject``. After a start of NATS it may take some seconds until it knows
    where a rare type is: the request waits 2 s for that, then reads messages of all types and says
    so in ``note``. A caller that is narrowed to
    namespaces or types learns only of its own.
    """
    if type is not None:
        check_pattern(type, "type")
    wanted = EventQuery(type, source, subject, time_of("since", since), time_of("until", until))
    after = read_cursor(cursor, list[EventPosition])
    if type is not None and not may_touch(caller, (type,)):
        listed = ListedEvents([], None, 0, 0)
    else:
        listed = await parts.listing.page(wanted, limit, after, functools.partial(may_read, caller))
    # How many events others have is not for a narrowed caller's eyes.
    narrowed = is_narrowed(caller)
    read = len(listed.events) if narrowed else listed.read
    following = cursor_of(listed.next)
    total: Total | int = listed.total or 0
    if not is_whole(cursor, following):
        by_content = source is not None or subject is not None
        unknown = narrowed or by_content or listed.total is None
        total = NOT_TOLD if unknown else at_most(listed.total or 0)
    items = [shown_event(received) for received in listed.events]
    answer = page_members(items, following, total) | {"read": read}
    if listed.slow:
        answer["note"] = NOTE
    elif listed.unsearched is not None:
        answer["note"] = _unsearched(listed.read, math.inf if narrowed else listed.unsearched)
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _unsearched(read: int, before: float) -> str:
    """What a page has not searched. ``before``: what the log stored before this time; infinite if
    that is not known, or not for the caller, who must not learn when others had events."""
    if math.isinf(before):
        return "the search ended before all events were searched; the next page goes on from there"
    return (
        f"the search ended after {read:,} messages: events that were received before "
        f"{rfc3339(before)} were not searched; the next page goes on from there"
    )


def shown_event(received: Received) -> dict[str, Any]:
    """An event as lists show it."""
    return {
        "event": msgspec.Raw(to_structured(received.event)),
        "source": received.event.source,
        "stream": received.stream,
        "sequence": received.seq,
        "received_at": rfc3339(received.time),
        "origin": received.origin,
    }
