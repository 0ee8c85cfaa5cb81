"""``/v1/transformations/preview``: the request that a transformation makes of an event."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Request, Response

from event_gateway.api.access.callers import ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.webhooks import PreviewedRequest
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.openapi.request_bodies import PreviewRequest
from event_gateway.api.server.bodies import body_as, event_in
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import InvalidBody, transformation_from_json
from event_gateway.core.access.narrowing import is_narrowed, may_read
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.transformation.definition import BUILT_IN
from event_gateway.pipeline.enrichment import Enricher
from event_gateway.registration.visibility import webhook_of
from event_gateway.request.builder import RequestBuilders
from event_gateway.request.preview import preview
from event_gateway.request.request import Unsendable
from event_gateway.request.transformations import Transformations

router = APIRouter(prefix="/v1/transformations", tags=["transformations"], route_class=GuardedRoute)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformationParts:
    """What the route uses."""

    registry: Registry
    builders: RequestBuilders
    transformations: Transformations
    enricher: Enricher


Parts = Annotated[TransformationParts, Depends(provided(TransformationParts))]


class _PreviewRequest(msgspec.Struct, forbid_unknown_fields=True):
    transformation: str | dict[str, Any] | None = None
    webhook: str | None = None


PreviewBody = Annotated[dict[str, Any], Body(), SchemaOf(PreviewRequest)]


@router.post("/preview", responses=answers(PreviewedRequest, 200, 404))
async def preview_transformation(
    request: Request, parts: Parts, caller: ReadsWebhooks, body: PreviewBody
) -> Response:
    """The request that the gateway would send for an event. Nothing is sent or stored.

    ``transformation``: a name, or a definition as in the configuration file (no Python function);
    by default the transformation of ``webhook``. With ``webhook`` its url, headers and ``enrich``
    are applied.
    """
    event = event_in(await request.body())
    given = body_as(_PreviewRequest, {key: body[key] for key in body if key != "event"})
    received = Received(event, "", 0, time.time())
    if not may_read(caller, received):
        raise InvalidDefinition("event", "is not of a namespace and type of the caller")
    webhook = None
    if given.webhook is not None:
        webhook = webhook_of(caller, parts.registry, given.webhook)
    name = given.transformation
    builders = parts.builders
    if name is None:
        if webhook is None:
            raise InvalidDefinition("transformation", "name a transformation or a webhook")
        name = webhook.transformation
    elif isinstance(name, str):
        # Those of the configuration file may contain anything.
        names = frozenset(BUILT_IN) if is_narrowed(caller) else parts.transformations.names
        if name not in names:
            known = ", ".join(sorted(names))
            raise InvalidDefinition("transformation", f"{name!r} is unknown; there are: {known}")
    else:
        builders, name = _with(builders, name)
    if webhook is None or webhook.enrich:
        await parts.enricher.preview(received, alone=is_narrowed(caller))
    try:
        shown = await preview(builders, webhook, name, received)
    except Unsendable as error:
        raise Problem(422, str(error), errors=[
            {"key": "transformation", "detail": str(error)}
        ], error_type=error.error_type) from None  # fmt: skip
    if not isinstance(given.transformation, str) and given.transformation is not None:
        shown["transformation"] = None
    return Response(msgspec.json.encode(shown), media_type="application/json")


def _with(builders: RequestBuilders, body: dict[str, Any]) -> tuple[RequestBuilders, str]:
    """Builders whose only transformation is the one that a body defines, and its name."""
    try:
        definition = transformation_from_json(body)
    except InvalidBody as error:
        raise InvalidBody(
            [(f"transformation.{key}".rstrip("."), reason) for key, reason in error.problems]
        ) from None
    try:
        transformations = Transformations(
            [definition], on_fallback=builders.transformations.on_fallback
        )
    except InvalidDefinition as error:
        key = error.key.removeprefix(f"transformations.{definition.name}")
        raise InvalidDefinition(f"transformation{key}", error.detail) from None
    return builders.with_transformations(transformations), definition.name
