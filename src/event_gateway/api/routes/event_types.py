"""``/v1/event-types``: the catalog of event types with their schemas and rules."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsEvents
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.event_types import AsyncApi, EventTypeAnswer, Imported
from event_gateway.api.openapi.described import NOT_MODIFIED, SchemaOf, answers
from event_gateway.api.routes.asyncapi_import import (
    IMPORTED_DOCUMENT,
    read_document,
    shown_skipped,
)
from event_gateway.api.routes.event_type_body import EventTypeBody, event_type_of
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, Reading, set_tag
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, page_members, page_of
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.search import Search, Searched
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import may_read_type
from event_gateway.core.access.principal import Principal
from event_gateway.core.access.scope import STREAMS_READ
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import NotRegistered
from event_gateway.core.schema.asyncapi.gateway_channels import Surroundings
from event_gateway.core.schema.asyncapi.reading import read
from event_gateway.core.schema.asyncapi.writing import write
from event_gateway.core.schema.event_type import EventType
from event_gateway.core.text.times import rfc3339
from event_gateway.ingest.catalog import Catalog
from event_gateway.registration.visibility import streams_of

router = APIRouter(prefix="/v1/event-types", tags=["event types"], route_class=GuardedRoute)
document = APIRouter(tags=["event types"], route_class=GuardedRoute)

MAX_PAGE = 4 * 1024 * 1024  # bytes of a page, about; a single type may be larger


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTypeParts:
    """What the routes use. ``version``: the gateway's."""

    catalog: Catalog
    version: str
    registry: Registry


Parts = Annotated[EventTypeParts, Depends(provided(EventTypeParts))]


NewEventType = Annotated[dict[str, Any], Body(), SchemaOf(EventTypeBody)]
EventTypePatch = Annotated[dict[str, Any], Body(), SchemaOf(EventTypeBody, patch=True)]
WholeEventType = Annotated[dict[str, Any], Body(), SchemaOf(EventTypeBody, optional=("type",))]


@router.get("", responses=answers(Page[EventTypeAnswer]))
async def list_event_types(
    parts: Parts,
    caller: ReadsEvents,
    search: Searched,
    owner: str | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """All event types by name, also the gateway's own. A page of large types may hold fewer than
    ``limit`` items and have a next page.

    ``search``: in the type, the description and the owner.
    """
    catalog = parts.catalog
    names = [
        name for name in _readable(caller, catalog.names(owner))
        if _fits(search, catalog.find(name))
    ]  # fmt: skip
    page, more = page_of(names, limit, cursor)
    fitting = list(_fitting(catalog, page))
    if len(fitting) < len(page):
        _, more = page_of(names, len(fitting), cursor)
    items = [_shown(catalog, catalog.find(name)) for name in fitting]
    return page_members(items, more, len(names))


@router.post("", status_code=201, responses=answers(EventTypeAnswer, 201, 409, headers=CREATED))
async def create_event_type(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("event-types.create", "event-type/{type}")],
    once: Once,
    response: Response,
    body: NewEventType,
) -> dict[str, Any]:
    """Registers an event type. All processes apply its rule once this is answered."""
    catalog = parts.catalog
    event_type = event_type_of(body)
    call.about(resource_name("event-type", event_type.type))
    created = await catalog.create(event_type)
    call.about(after=_shown(catalog, created))
    response.headers["Location"] = f"/v1/event-types/{quote(created.type, safe='')}"
    return _tagged(catalog, created, response)


@router.post("/import", responses=answers(Imported, 200, 409), openapi_extra=IMPORTED_DOCUMENT)
async def import_event_types(
    request: Request,
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("event-types.import", "event-type")],
    dry_run: bool = Query(False, description="Change nothing, only say what would change."),
) -> dict[str, Any]:
    """Registers the event types of an AsyncAPI document (2 or 3; JSON or YAML).

    ``skipped`` names each message that is not registered, with the reason; ``skipped_omitted``
    counts those beyond the first 1,000.
    """
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    # In a thread: a large document may take seconds.
    content = await asyncio.to_thread(read_document, body, content_type.lower())
    types, skipped = await asyncio.to_thread(read, content)
    outcome = await parts.catalog.import_types(types, dry_run=dry_run)
    call.about(after={"dry_run": dry_run} | outcome)
    return {"dry_run": dry_run} | outcome | shown_skipped(skipped)


@router.get(
    "/{name:path}",
    response_model=None,
    responses=answers(EventTypeAnswer, headers=ETAG) | NOT_MODIFIED,
)
async def show_event_type(
    parts: Parts, caller: ReadsEvents, condition: Reading, response: Response, name: str
) -> dict[str, Any] | Response:
    """One event type."""
    catalog = parts.catalog
    if not may_read_type(caller, name):
        raise NotRegistered(f"there is no event type {name}")
    event_type = catalog.find(name)
    if unchanged := condition.not_modified(_shown(catalog, event_type)):
        return unchanged
    return _tagged(catalog, event_type, response)


@router.put(
    "/{name:path}",
    responses=answers(EventTypeAnswer, 200, 409, headers=ETAG)
    | answers(EventTypeAnswer, 201, headers=ETAG),
)
async def put_event_type(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("event-types.put", "event-type/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: WholeEventType,
) -> dict[str, Any]:
    """Replaces the event type of this name, or registers it: then the answer is 201."""
    catalog = parts.catalog
    event_type = event_type_of({"type": name} | body)
    if event_type.type != name:
        raise Problem(422, "an event type cannot be renamed")
    before = _known(catalog, name)
    condition.check(before)
    put, new = await catalog.put(event_type)
    call.about(before=before, after=_shown(catalog, put))
    response.status_code = 201 if new else 200
    return _tagged(catalog, put, response)


@router.patch("/{name:path}", responses=answers(EventTypeAnswer, 200, 409, headers=ETAG))
async def change_event_type(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("event-types.change", "event-type/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: EventTypePatch,
) -> dict[str, Any]:
    """Changes the members that the body names (RFC 7396), keeps the others. Within the schema and
    the examples nothing is merged: what the body names is replaced as a whole."""
    catalog = parts.catalog
    before = _shown(catalog, catalog.find(name))
    condition.check(before)
    merged = {key: value for key, value in (before | body).items() if value is not None}
    event_type = event_type_of(merged)
    if event_type.type != name:
        raise Problem(422, "an event type cannot be renamed")
    put, _ = await catalog.put(event_type)
    call.about(before=before, after=_shown(catalog, put))
    return _tagged(catalog, put, response)


@router.delete("/{name:path}", status_code=204, responses=answers(None, 204, 409))
async def delete_event_type(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("event-types.delete", "event-type/{name}")],
    condition: Conditional,
    name: str,
) -> None:
    """Deletes an event type. Its events are accepted from now on, unless the catalog is strict."""
    before = _known(parts.catalog, name)
    condition.check(before)
    call.about(before=before)
    await parts.catalog.remove(name)


@document.get("/asyncapi.json", responses=answers(AsyncApi))
async def export_event_types(request: Request, parts: Parts, caller: ReadsEvents) -> Response:
    """The gateway as an AsyncAPI 3.0 document: the catalog with the gateway's own types, and the
    ways in and out. It names the streams that the caller may read."""
    streams = streams_of(caller, parts.registry) if caller.allows(STREAMS_READ) else {}
    around = Surroundings(request.url.netloc, request.url.scheme == "https", sorted(streams))
    types = [parts.catalog.find(name) for name in sorted(_readable(caller, parts.catalog.names()))]

    def encode() -> bytes:
        return msgspec.json.encode(write(types, parts.version, around))

    return Response(await asyncio.to_thread(encode), media_type="application/json")


def _readable(caller: Principal, names: list[str]) -> list[str]:
    return [name for name in names if may_read_type(caller, name)]


def _fits(search: Search, event_type: EventType) -> bool:
    return search.fits(event_type.type, event_type.description, event_type.owner)


def _fitting(catalog: Catalog, names: list[str]) -> Iterator[str]:
    total = 0
    for name in names:
        total += catalog.size(name)
        if total > MAX_PAGE and total > catalog.size(name):
            return
        yield name


def _known(catalog: Catalog, name: str) -> dict[str, Any] | None:
    try:
        return _shown(catalog, catalog.find(name))
    except NotRegistered:
        return None


def _tagged(catalog: Catalog, event_type: EventType, response: Response) -> dict[str, Any]:
    shown = _shown(catalog, event_type)
    set_tag(response, shown)
    return shown


def _shown(catalog: Catalog, event_type: EventType) -> dict[str, Any]:
    has_schema = event_type.schema is not msgspec.UNSET
    shown: dict[str, Any] = {
        "type": event_type.type,
        "description": event_type.description,
        "owner": event_type.owner,
        "dataschema": event_type.dataschema or None,
    }
    if isinstance(event_type.schema, msgspec.Raw):
        shown["schema"] = msgspec.json.decode(event_type.schema)
    at = event_type.created_at or None
    return shown | {
        "examples": [msgspec.json.decode(example) for example in event_type.examples],
        "enforce": event_type.enforce,
        "in_force": catalog.enforcement(event_type) if has_schema else "off",
        "managed_by": event_type.managed_by,
        "created_at": at and rfc3339(event_type.created_at),
        "updated_at": at and rfc3339(event_type.updated_at),
    }
