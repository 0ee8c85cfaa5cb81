"""``/v1/webhooks/match`` and ``/v1/expressions/evaluate``: try matching without sending."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Depends, Query, Request, Response

from event_gateway.api.access.callers import ReadsEvents, ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.webhooks import ExpressionValue, Matches
from event_gateway.api.openapi.described import SchemaOf, answers
from event_gateway.api.openapi.request_bodies import EvaluationRequest, MatchRequest
from event_gateway.api.server.bodies import event_in
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.pages import Limit, page_members, page_of, registered
from event_gateway.api.server.problems import Problem
from event_gateway.broker.registry import Registry
from event_gateway.cesql import ParseError
from event_gateway.core.access.narrowing import may_read
from event_gateway.core.cloudevents.event import Event, Received
from event_gateway.core.cloudevents.reserved_types import SOURCE, check_reserved, is_lifecycle
from event_gateway.core.errors import InvalidDefinition, InvalidEvent
from event_gateway.core.matching.evaluation import EvaluationError
from event_gateway.core.matching.expression import CelExpression
from event_gateway.core.matching.sql_condition import sql_value
from event_gateway.core.streams.definition import EVENTS, LIFECYCLE
from event_gateway.core.webhook.webhook import AFTER_EVERY_REGISTRATION, Webhook
from event_gateway.registration.visibility import webhook_of, webhooks_of
from event_gateway.routing.explain import explain

router = APIRouter(prefix="/v1", tags=["matching"], route_class=GuardedRoute)

MAX_MATCHED = 1000  # ids in the list of all webhooks that match


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingParts:
    """What the routes use. ``matching`` gives the webhooks that an event would reach."""

    registry: Registry
    matching: Callable[[Received], list[Webhook]]


Parts = Annotated[MatchingParts, Depends(provided(MatchingParts))]
Candidate = Annotated[dict[str, Any], Body(), SchemaOf(MatchRequest)]
Evaluation = Annotated[dict[str, Any], Body(), SchemaOf(EvaluationRequest)]


@router.post("/webhooks/match", responses=answers(Matches, 200, 404))
async def match_webhooks(
    request: Request,
    parts: Parts,
    caller: ReadsWebhooks,
    body: Candidate,
    limit: Limit = 100,
    cursor: str | None = None,
    webhook: list[str] = Query([], description="Only these webhooks."),
) -> Response:
    """Which webhooks an event would reach; for each other webhook the first condition that fails.

    The body is ``{"event": {…}}`` or the CloudEvent itself, also one that only the gateway
    publishes: a lifecycle event with the source ``event-gateway``. ``matched`` has the ids of all
    webhooks that match (the first 1,000), ``items`` the result for each webhook, by id, page by
    page.
    """
    received = _event(event_in(await request.body(), whole="specversion" in body), check=True)
    if not may_read(caller, received):
        raise InvalidDefinition("event", "is not of a namespace and type of the caller")
    visible = webhooks_of(caller, parts.registry)
    matched = sorted(webhook.id for webhook in parts.matching(received) if webhook.id in visible)
    names = webhook or registered(visible)
    page, more = page_of(names, limit, cursor)
    items = []
    for name in page:
        candidate = webhook_of(caller, parts.registry, name)
        failed = explain(candidate, received)
        await asyncio.sleep(0)  # expressions may be slow, and there are up to a thousand
        items.append(
            {
                "webhook_id": name,
                "matches": failed is None,
                "state": candidate.state,
                "failed": failed,
            }
        )
    answer = {"matched": matched[:MAX_MATCHED], "matched_count": len(matched)}
    answer |= page_members(items, more, len(set(names)))
    return Response(msgspec.json.encode(answer), media_type="application/json")


@router.post("/expressions/evaluate", responses=answers(ExpressionValue))
async def evaluate_expression(caller: ReadsEvents, request: Request, body: Evaluation) -> Response:
    """An expression's value for an event: ``{"dialect": "cesql", "expression": …, "event": {…}}``.

    ``dialect`` is ``cel`` (the default) or ``cesql``. 422 if an expression in CEL cannot be
    compiled; in CESQL that is a ``ParseError`` in ``errors``, and the value is false. If an
    evaluation in CEL fails, ``value`` is null; in CESQL it is the one that the language defines.
    """
    if unknown := set(body) - {"dialect", "expression", "event"}:
        raise Problem(
            422, f"{min(unknown)[:64]}: unknown key; the keys are: dialect, expression, event"
        )
    evaluate = _DIALECTS.get(str(body.get("dialect", "cel")))
    if evaluate is None:
        raise InvalidDefinition("dialect", f"must be one of: {', '.join(_DIALECTS)}")
    text = body.get("expression")
    if not isinstance(text, str):
        raise InvalidDefinition("expression", "must be a string")
    value, errors = evaluate(text, _event(event_in(await request.body())))
    return Response(
        msgspec.json.encode({"value": value, "errors": errors}), media_type="application/json"
    )


def _in_cel(text: str, received: Received) -> tuple[Any, list[dict[str, Any]]]:
    try:
        expression = CelExpression(text, condition=False)
    except ValueError as error:
        raise InvalidDefinition("expression", str(error)) from None
    try:
        return expression.value(received), []
    except EvaluationError as error:
        return None, [{"type": error.kind, "message": error.message}]


def _in_cesql(text: str, received: Received) -> tuple[Any, list[dict[str, Any]]]:
    try:
        value, errors = sql_value(text, received)
    except ParseError as error:
        shown = {"type": error.type, "message": str(error), "position": error.position}
        return False, [shown]
    except EvaluationError as error:
        return False, [{"type": error.kind, "message": error.message}]
    return value, [
        {"type": error.type, "message": error.message, "position": error.position}
        for error in errors
    ]


_DIALECTS = {"cel": _in_cel, "cesql": _in_cesql}


def _event(event: Event, *, check: bool = False) -> Received:
    stream = EVENTS
    if event.source == SOURCE and is_lifecycle(event.type):
        stream = LIFECYCLE  # as if the gateway had published it
    elif check:
        try:
            check_reserved(event)
        except InvalidEvent as error:
            raise InvalidDefinition("event", error.detail) from None
    return Received(event, stream, AFTER_EVERY_REGISTRATION, time.time())
