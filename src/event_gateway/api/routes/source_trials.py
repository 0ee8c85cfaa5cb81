"""What sources can be, and what would come of a request: ``/v1/source-types`` and
``/v1/sources/{name}/test``. Nothing is published."""

import base64
import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.callers import ReadsSources
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.sources import (
    SourceTrial,
    SourceTypes,
)
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.routes.source_endpoint import answered
from event_gateway.api.routes.sources import Parts, SourceParts
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.core.cloudevents.json_format import to_structured
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.definition import SourceDefinition
from event_gateway.core.sources.inbound import Inbound
from event_gateway.core.sources.provider import Refused
from event_gateway.core.sources.providers import PROVIDERS
from event_gateway.core.sources.rules import SETTINGS
from event_gateway.core.text.times import parse_time
from event_gateway.core.text.units import format_duration

router = APIRouter(prefix="/v1", tags=["sources"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

MAX_EVENTS = 100  # of a trial that its answer shows


class _Trial(msgspec.Struct, forbid_unknown_fields=True):
    """A request to try. ``path``: with its query string; ``received_at``: when it came (RFC 3339),
    by default now."""

    headers: dict[str, str] = {}
    body: str = ""
    body_base64: str | None = None
    path: str | None = None
    received_at: str | None = None


Trial = Annotated[Annotated[dict[str, Any], SchemaOf(_Trial)] | None, Body()]


@router.get("/source-types", responses=answers(SourceTypes))
async def list_source_types(caller: ReadsSources) -> dict[str, Any]:
    """The providers whose requests sources can take, with the settings and templates of each."""
    return {
        "items": [
            {
                "type": provider.name,
                "title": provider.title,
                "required": [name for name in SETTINGS if name in provider.required],
                "optional": [name for name in SETTINGS if name in provider.optional],
                "timed": provider.timed,
                "tolerance": format_duration(provider.tolerance) if provider.timed else None,
                "event": msgspec.to_builtins(provider.templates),
                "example": {
                    "headers": {"content-type": provider.example.content_type}
                    | provider.example.headers,
                    "body": provider.example.body,
                },
            }
            for provider in PROVIDERS.values()
        ]
    }


@router.post("/sources/{name}/test", responses=answers(SourceTrial, 200, 503))
async def try_source(
    parts: Parts, caller: ReadsSources, name: str, body: Trial = None
) -> dict[str, Any]:
    """Says what would come of a request, and publishes nothing. Without a request it tries an
    example of the provider, which is not signed."""
    definition = parts.registry.source(name)
    provider = PROVIDERS[definition.type]
    if body is None:
        example = provider.example
        headers = {"content-type": example.content_type} | example.headers
        inbound = _inbound(name, _Trial(headers, example.body))
        return _trial(parts, definition, inbound, None)
    inbound = _inbound(name, body_as(_Trial, body))
    refused = await answered(parts.requests.verdict(definition, inbound), definition)
    if refused is not None:
        return _trial_answer(False, refused)
    try:
        answer = provider.answer(inbound)
    except Refused as error:
        return _trial_answer(True, error)
    if answer is not None:
        return _trial_answer(True) | {"answer": answer.body.decode()}
    return _trial(parts, definition, inbound, True)


def _trial(
    parts: SourceParts, definition: SourceDefinition, inbound: Inbound, verified: bool | None
) -> dict[str, Any]:
    try:
        events = parts.requests.events(definition, inbound)
    except Refused as error:
        return _trial_answer(verified, error)
    shown = [msgspec.json.decode(to_structured(event)) for event in events[:MAX_EVENTS]]
    return _trial_answer(verified) | {"events": shown}


def _trial_answer(verified: bool | None, refused: Refused | None = None) -> dict[str, Any]:
    return {
        "verified": verified,
        "reason": refused and refused.reason,
        "detail": refused and refused.detail,
        "answer": None,
        "events": [],
    }


def _inbound(name: str, trial: _Trial) -> Inbound:
    try:
        body = trial.body.encode() if trial.body_base64 is None else base64.b64decode(
            trial.body_base64, validate=True
        )  # fmt: skip
    except ValueError:
        raise InvalidDefinition("body_base64", "is not base64") from None
    try:
        at = time.time() if trial.received_at is None else parse_time(trial.received_at)
    except ValueError as error:
        raise InvalidDefinition("received_at", str(error)) from None
    headers = {key.lower(): value for key, value in trial.headers.items()}
    target = trial.path or f"/v1/sources/{name}"
    return Inbound(
        method="POST", target=target, url=f"https://{headers.get('host', 'localhost')}{target}",
        headers=headers, body=body, received_at=at,
    )  # fmt: skip
