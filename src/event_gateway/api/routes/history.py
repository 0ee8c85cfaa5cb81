"""``/v1/history`` and ``/v1/webhooks/{id}/history``: what was counted, in steps of time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Response

from event_gateway.api.access.callers import ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.answers.history import GatewayHistory, Sparklines, WebhookHistory
from event_gateway.api.openapi.described import answers
from event_gateway.api.server.definitions import present
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import time_of
from event_gateway.broker.registry import Registry
from event_gateway.core.access.narrowing import is_narrowed
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.observability.history_points import (
    COUNTS,
    WEBHOOK_COUNTS,
    GatewayPoint,
    WebhookPoint,
    quantile,
)
from event_gateway.core.observability.history_spans import DAY, HOUR, HistorySpan
from event_gateway.core.text.times import rfc3339
from event_gateway.core.text.units import parse_duration
from event_gateway.observability.history.reader import HistoryReader, WebhookSeries
from event_gateway.registration.visibility import webhook_of, webhook_or_none, webhooks_of

router = APIRouter(tags=["history"], route_class=GuardedRoute)

MAX_ADDED = 200  # webhooks of a narrowed caller that are added up
MAX_IDS = 100
SPARKLINE_STEPS = 48
_OWN_COUNTS = tuple(name for name in COUNTS if name not in WEBHOOK_COUNTS)
_SHARES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
_OF_THE_GATEWAY = (
    *_OWN_COUNTS, "subscribers", "consumer_lag", "consumer_lag_seconds", "oldest_seconds",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryParts:
    """What the routes use."""

    registry: Registry
    reader: HistoryReader


Parts = Annotated[HistoryParts, Depends(provided(HistoryParts))]
Since = Annotated[
    str | None, Query(description="RFC 3339. One hour ago, of webhooks a day ago, if not given.")
]
Until = Annotated[str | None, Query(description="RFC 3339. Now, if not given.")]
Step = Annotated[
    str | None,
    Query(
        description="A duration such as `5m`: the length of a step, a multiple of that of the "
        "stored points. If not given, the span has 400 steps at most.",
        examples=["5m"],
    ),
]
Ids = Annotated[
    list[str],
    Query(
        alias="id", min_length=1, max_length=MAX_IDS, description="A webhook; repeated for more."
    ),
]


@router.get(
    "/v1/history",
    responses=answers(GatewayHistory),
    dependencies=[Depends(only_known_parameters)],
)
async def show_history(
    parts: Parts,
    caller: ReadsWebhooks,
    since: Since = None,
    until: Until = None,
    step: Step = None,
) -> Response:
    """What the gateway counted, in steps of time, over all processes.

    Points of 10 seconds are there for an hour, of 60 seconds for a day, and of 15 minutes for 30
    days. A narrowed caller gets the sum of its own webhooks, for a day in points of 5 minutes; what
    is of no webhook is null.
    """
    given = (time_of("since", since), time_of("until", until), _seconds(step))
    if is_narrowed(caller):
        seen = [each for each in webhooks_of(caller, parts.registry).values() if not each.deleting]
        own = await parts.reader.webhooks(seen[:MAX_ADDED], *given, latest=HOUR, usual=400)
        points: Sequence[GatewayPoint | None] = _sum(own)
        span, covered = own.span, own.covered
        number, complete = min(len(seen), MAX_ADDED), len(seen) <= MAX_ADDED
    else:
        whole = await parts.reader.gateway(*given, latest=HOUR)
        points, span = whole.points, whole.span
        covered = [0 if point is None else point.covered for point in points]
        number, complete = None, True
    series = _webhook_series(points) | _gateway_series(points)
    total = _total_of_gateway(points)
    if number is not None:
        for name in _OF_THE_GATEWAY:
            series[name], total[name] = [None] * span.count, None
    return _answer(
        _steps(span, covered)
        | {"webhooks": number, "complete": complete, "series": series, "total": total}
    )


@router.get("/v1/history/webhooks", responses=answers(Sparklines))
async def list_webhook_histories(
    parts: Parts,
    caller: ReadsWebhooks,
    ids: Ids,
    since: Since = None,
    until: Until = None,
    step: Step = None,
) -> Response:
    """Small charts of up to 100 webhooks; of a day in 48 steps, if the caller does not say more."""
    given = (time_of("since", since), time_of("until", until), _seconds(step))
    webhooks = [
        webhook
        for webhook_id in dict.fromkeys(ids)
        if (webhook := webhook_or_none(caller, parts.registry, webhook_id)) is not None
        and not webhook.deleting
    ]
    found = await parts.reader.webhooks(webhooks, *given, latest=DAY, usual=SPARKLINE_STEPS)
    items = [
        {
            "webhook_id": webhook_id,
            "series": {
                name: _values(points, name) for name in ("succeeded", "attempts", "failed_attempts")
            },
            "total": _total_of_webhook(points),
        }
        for webhook_id, points in found.points.items()
    ]
    return _answer(_steps(found.span, found.covered) | {"items": items})


@router.get(
    "/v1/webhooks/{webhook_id}/history",
    responses=answers(WebhookHistory, 200, 409),
    dependencies=[Depends(only_known_parameters)],
)
async def show_webhook_history(
    parts: Parts,
    caller: ReadsWebhooks,
    webhook_id: str,
    since: Since = None,
    until: Until = None,
    step: Step = None,
) -> Response:
    """What a webhook counted in the last 24 hours, in steps of 5 minutes or more.

    The latest 1,000 webhooks with attempts have a history. Where a webhook may have had attempts
    that were not counted, and before its registration, the values are null.
    """
    webhook = present(webhook_of(caller, parts.registry, webhook_id))
    given = (time_of("since", since), time_of("until", until), _seconds(step))
    found = await parts.reader.webhooks([webhook], *given, latest=DAY, usual=400)
    points = found.points[webhook_id]
    return _answer(
        _steps(found.span, found.covered)
        | {
            "webhook_id": webhook_id,
            "series": _webhook_series(points),
            "total": _total_of_webhook(points),
        }
    )


def _seconds(step: str | None) -> float | None:
    try:
        return None if step is None else parse_duration(step)
    except ValueError as error:
        raise InvalidDefinition("step", str(error)) from None


def _answer(content: Mapping[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")


def _steps(span: HistorySpan, covered: Sequence[int]) -> dict[str, Any]:
    return {
        "since": rfc3339(span.begin),
        "until": rfc3339(span.end),
        "step_seconds": span.step,
        "covered_seconds": covered,
    }


def _sum(series: WebhookSeries) -> list[GatewayPoint | None]:
    """The sum of webhooks in each step, as points of a gateway with these webhooks alone."""
    total: list[GatewayPoint | None] = [
        GatewayPoint(series.span.begin + index * series.span.step, covered) if covered else None
        for index, covered in enumerate(series.covered)
    ]
    for points in series.points.values():
        for step, point in zip(total, points, strict=True):
            if step is not None and point is not None:
                _add(step, point)
    return total


def _add(total: GatewayPoint, point: WebhookPoint) -> None:
    total.count_webhook(point)
    if point.waiting >= 0:
        total.waiting = max(total.waiting, 0) + point.waiting


def _values(points: Iterable[GatewayPoint | WebhookPoint | None], name: str) -> list[int | None]:
    """A field of points: null in gaps, and where no process knew it."""
    values = (None if point is None else getattr(point, name) for point in points)
    return [None if value is None or value < 0 else value for value in values]


def _seconds_of(points: Iterable[GatewayPoint | None], name: str) -> list[float | None]:
    values = (None if point is None else getattr(point, name) for point in points)
    return [None if value is None or value < 0 else value / 1000 for value in values]


def _webhook_series(points: Sequence[GatewayPoint | WebhookPoint | None]) -> dict[str, Any]:
    return {
        **{name: _values(points, name) for name in (*WEBHOOK_COUNTS, "waiting")},
        "success_rate": [None if point is None else _rate(point) for point in points],
        **{
            name: [None if point is None else quantile(share, point.latency) for point in points]
            for name, share in _SHARES.items()
        },
    }


def _gateway_series(points: Sequence[GatewayPoint | None]) -> dict[str, Any]:
    return {
        **{name: _values(points, name) for name in (*_OWN_COUNTS, "subscribers")},
        "consumer_lag": _values(points, "lag"),
        "consumer_lag_seconds": _seconds_of(points, "lag_ms"),
        "oldest_seconds": _seconds_of(points, "oldest_ms"),
    }


def _rate(point: GatewayPoint | WebhookPoint) -> float | None:
    return point.succeeded / point.attempts if point.attempts else None


def _total_of_webhook(points: Iterable[WebhookPoint | None]) -> dict[str, Any]:
    total = WebhookPoint(0)
    for point in points:
        if point is not None:
            total.add(point)
    return {name: values[0] for name, values in _webhook_series([total]).items()}


def _total_of_gateway(points: Iterable[GatewayPoint | None]) -> dict[str, Any]:
    total = GatewayPoint(0)
    for point in points:
        if point is not None:
            total.extend(point)
    series = _webhook_series([total]) | _gateway_series([total])
    return {name: values[0] for name, values in series.items()}
