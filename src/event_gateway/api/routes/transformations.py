"""``/v1/transformations``: what one makes of an event."""

import time
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Response

from event_gateway.api.server.auth import GuardedRoute
from event_gateway.api.server.bodies import body_as, event_in
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.problems import Problem
from event_gateway.broker.registry import Registry
from event_gateway.config.request_bodies import InvalidBody, transformation_from_json
from event_gateway.core.cloudevents.event import Received
from event_gateway.core.errors import InvalidDefinition
from event_gateway.pipeline.enrichment import Enricher
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


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    event: dict[str, Any]
    transformation: str | dict[str, Any] | None = None
    webhook: str | None = None


@router.post("/preview")
async def preview_transformation(parts: Parts, body: dict[str, Any] = Body(...)) -> Response:
    """The request that would be sent of an event; nothing is sent or kept.

    ``transformation`` is a name or a definition as in the configuration file (no function), by
    default that of the ``webhook``; with one, its url, headers and ``enrich`` count.
    """
    wanted = body_as(_Wanted, body)
    webhook = None if wanted.webhook is None else parts.registry.webhook(wanted.webhook)
    named = wanted.transformation
    builders = parts.builders
    if named is None:
        if webhook is None:
            raise InvalidDefinition("transformation", "name one, or a webhook")
        named = webhook.transformation
    elif isinstance(named, str):
        if named not in parts.transformations.names:
            known = ", ".join(sorted(parts.transformations.names))
            raise InvalidDefinition("transformation", f"{named!r} is unknown; there are: {known}")
    else:
        builders = _with(builders, named)
        named = "it"
    received = Received(event_in(wanted.event), "", 0, time.time())
    if webhook is None or webhook.enrich:
        await parts.enricher.enrich([received], keep=False)
    try:
        shown = await preview(builders, webhook, named, received)
    except Unsendable as error:
        raise Problem(422, str(error), errors=[
            {"key": "transformation", "detail": str(error)}
        ], error_type=error.error_type) from None  # fmt: skip
    if not isinstance(wanted.transformation, str) and wanted.transformation is not None:
        shown["transformation"] = None
    return Response(msgspec.json.encode(shown), media_type="application/json")


def _with(builders: RequestBuilders, definition: dict[str, Any]) -> RequestBuilders:
    """RequestBuilders that know of this definition, under the name ``it``."""
    try:
        transformations = Transformations(
            [transformation_from_json(definition)],
            on_fallback=builders.transformations.on_fallback,
        )
    except InvalidBody as error:
        raise InvalidBody(
            [(f"transformation.{key}".rstrip("."), why) for key, why in error.problems]
        ) from None
    except InvalidDefinition as error:
        key = error.key.removeprefix("transformations.it")
        raise InvalidDefinition(f"transformation{key}", error.detail) from None
    return builders.with_transformations(transformations)
