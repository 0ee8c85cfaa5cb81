"""``/v1/sources``: inbound webhooks of third parties. :mod:`.source_endpoint` takes them in."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Response

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import Operator, ReadsSources
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.common import Page
from event_gateway.api.answers.sources import (
    ChangedSource,
    SourceAnswer,
)
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.server.conditional import CREATED, ETAG, Conditional, set_tag
from event_gateway.api.server.definitions import ANY_MANAGER, Manager, writable
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import Limit, page_answer, page_of
from event_gateway.api.server.patch import merge_patch
from event_gateway.api.server.problems import Problem
from event_gateway.api.server.warnings import with_warnings
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import SourceBody, source_from_json
from event_gateway.config.response_bodies import source_to_json
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import DefinitionWarning, InvalidDefinition
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import ATTRIBUTES
from event_gateway.ingest.source_requests import SourceRequests
from event_gateway.registration.sources import SourceRegistration
from event_gateway.secrets.named import Secrets
from event_gateway.state.connection import StateError
from event_gateway.state.source_counts import SourceCounts

router = APIRouter(prefix="/v1/sources", tags=["sources"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceParts:
    """What the routes use."""

    registry: Registry
    registration: SourceRegistration
    requests: SourceRequests
    counts: SourceCounts
    secrets: Secrets


Parts = Annotated[SourceParts, Depends(provided(SourceParts))]
NewSource = Annotated[dict[str, Any], Body(), SchemaOf(SourceBody)]
WholeSource = Annotated[dict[str, Any], Body(), SchemaOf(SourceBody, optional=("name",))]
SourcePatch = Annotated[dict[str, Any], Body(), SchemaOf(SourceBody, patch=True)]


@router.get("", responses=answers(Page[SourceAnswer]))
async def list_sources(
    parts: Parts,
    caller: ReadsSources,
    limit: Limit = 100,
    cursor: str | None = None,
    type: Annotated[str | None, Query(description="The provider.")] = None,
    managed_by: Annotated[str | None, Query(pattern=ANY_MANAGER)] = None,
    search: Annotated[
        str | None,
        Query(
            max_length=200,
            description="A text that its name, type or description contains, in capital or small "
            "letters.",
        ),
    ] = None,
    requests: Annotated[bool, Query(description="With how many requests there were.")] = False,
) -> Response:
    """All sources, by name; with parameters those for which all of them hold."""
    names = [
        name for name, source in parts.registry.sources.items()
        if type in (None, source.type) and managed_by in (None, source.managed_by)
        and (search is None or _contains(source, search.lower()))
    ]  # fmt: skip
    page, more = page_of(names, limit, cursor)
    found = [parts.registry.sources[name] for name in page]
    items = [_shown(parts, source) for source in found]
    if requests:
        items = await _with_requests(parts, found, items)
    return page_answer(items, more, len(names))


@router.post("", status_code=201, responses=answers(ChangedSource, 201, 409, headers=CREATED))
async def create_source(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("sources.create", "source/{name}")],
    once: Once,
    response: Response,
    body: NewSource,
    managed_by: Manager = "api",
) -> dict[str, Any]:
    """Registers a source. Requests to `POST /v1/sources/{name}` are taken from then on."""
    definition = _parsed(parts, body, managed_by)
    call.about(resource_name("source", definition.name))
    created = await parts.registration.create(definition)
    call.about(after=source_to_json(created))
    response.headers["Location"] = f"/v1/sources/{created.name}"
    return _changed(parts, created, response)


@router.get("/{name}", responses=answers(SourceAnswer, headers=ETAG))
async def show_source(
    parts: Parts, caller: ReadsSources, response: Response, name: str
) -> dict[str, Any]:
    """One source. A request without any credential is answered with 200 and no body: providers look
    so whether the URL answers."""
    definition = parts.registry.source(name)
    set_tag(response, source_to_json(definition))
    (shown,) = await _with_requests(parts, [definition], [_shown(parts, definition)])
    return shown


@router.put("/{name}", responses=answers(ChangedSource, 200, 409, headers=ETAG))
async def replace_source(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("sources.replace", "source/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: WholeSource,
    managed_by: Manager | None = None,
) -> dict[str, Any]:
    """Replaces the whole definition."""
    former = writable(parts.registry.source(name))
    condition.check(source_to_json(former))
    return await _replace(parts, call, response, former, {"name": name} | body, managed_by)


@router.patch("/{name}", responses=answers(ChangedSource, 200, 409, headers=ETAG))
async def change_source(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("sources.change", "source/{name}")],
    condition: Conditional,
    response: Response,
    name: str,
    body: SourcePatch,
) -> dict[str, Any]:
    """Changes the members that the body names (RFC 7396; null removes one), keeps the others."""
    former = writable(parts.registry.source(name))
    condition.check(source_to_json(former))
    merged = merge_patch(merge_patch({}, source_to_json(former)), body)
    return await _replace(parts, call, response, former, merged, None)


@router.delete("/{name}", status_code=204, responses=answers(None, 204, 409))
async def delete_source(
    parts: Parts,
    caller: Operator,
    call: Annotated[Call, audited("sources.delete", "source/{name}")],
    condition: Conditional,
    name: str,
) -> None:
    """Deletes a source. Its provider gets 404 from then on."""
    if not parts.registry.is_unreadable("source", name):
        former = source_to_json(writable(parts.registry.source(name)))
        condition.check(former)
        call.about(before=former)
    await parts.registration.delete(name)


def _parsed(parts: SourceParts, body: dict[str, Any], managed_by: str) -> SourceDefinition:
    definition = msgspec.structs.replace(source_from_json(body), managed_by=managed_by)
    secret = definition.settings.secret_name
    if secret and parts.secrets.refuses(secret):
        raise InvalidDefinition("secret_name", "leads to a private file or variable of the gateway")
    return definition


async def _replace(
    parts: SourceParts,
    call: Call,
    response: Response,
    former: SourceDefinition,
    body: dict[str, Any],
    managed_by: str | None,
) -> dict[str, Any]:
    if body.get("name") != former.name:
        raise Problem(422, "a source cannot be renamed")
    definition = _parsed(parts, body, managed_by or former.managed_by)
    changed = await parts.registration.change(definition)
    call.about(before=source_to_json(former), after=source_to_json(changed))
    return _changed(parts, changed, response)


def _changed(
    parts: SourceParts, definition: SourceDefinition, response: Response
) -> dict[str, Any]:
    set_tag(response, source_to_json(definition))
    shown = _shown(parts, definition)
    warnings = []
    if shown["secret_state"] == "missing":
        detail = f"there is no secret {definition.settings.secret_name}: requests are refused"
        warnings.append(DefinitionWarning("secret_missing", "secret_name", detail))
    return with_warnings(shown, warnings)


def _shown(parts: SourceParts, definition: SourceDefinition) -> dict[str, Any]:
    defaults = PROVIDERS[definition.type].templates
    templates = {
        name: text for name in ATTRIBUTES
        if (text := getattr(definition.event, name) or getattr(defaults, name))
    }  # fmt: skip
    secret = definition.settings.secret_name
    state = None
    if secret:
        state = "present" if parts.secrets.find(secret) else "missing"
    return source_to_json(definition) | {"in_force": templates, "secret_state": state}


async def _with_requests(
    parts: SourceParts, sources: list[SourceDefinition], items: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The answers with how many requests there were."""
    try:
        counts = [msgspec.to_builtins(each) for each in await parts.counts.of(sources)]
    except StateError:
        counts = [None] * len(sources)
    return [item | {"requests": each} for item, each in zip(items, counts, strict=True)]


def _contains(source: SourceDefinition, text: str) -> bool:
    return any(text in each.lower() for each in (source.name, source.type, source.description))
