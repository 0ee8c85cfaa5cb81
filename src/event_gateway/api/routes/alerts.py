"""``/v1/alerts``: the alerts, their history, and silences."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Body, Depends

from event_gateway.api.access.audited import audited
from event_gateway.api.access.callers import ManagesWebhooks, ReadsWebhooks
from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.access.idempotency import Once
from event_gateway.api.answers.alerts import AlertAnswer, EpisodeAnswer, Name, SilenceAnswer
from event_gateway.api.answers.common import Page
from event_gateway.api.openapi.described import LOCATION, SchemaOf, answers
from event_gateway.api.server.bodies import body_as
from event_gateway.api.server.dependencies import provided
from event_gateway.api.server.known_parameters import only_known_parameters
from event_gateway.api.server.pages import Limit, cursor_of, page_members, read_cursor, time_of
from event_gateway.api.server.problems import Problem
from event_gateway.audit.trail import Call
from event_gateway.broker.registry import Registry
from event_gateway.core.access.principal import Principal
from event_gateway.core.audit.change import resource_name
from event_gateway.core.errors import InvalidDefinition, NotRegistered
from event_gateway.core.observability.alert import Alert
from event_gateway.core.observability.silence import MAX_SILENCES, Silence, check_silence
from event_gateway.core.text.times import rfc3339, rfc3339_or_none
from event_gateway.core.text.units import parse_duration
from event_gateway.observability.alerts.announcing import AlertAnnouncing
from event_gateway.observability.alerts.book import MAX_REMOVED, AlertBook
from event_gateway.registration.visibility import sees_since, webhook_of

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=GuardedRoute,
                   dependencies=[Depends(only_known_parameters)])  # fmt: skip

Item = TypeVar("Item")
_ORDER = {"firing": 0, "pending": 1, "resolved": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertParts:
    """What the routes use. ``limit_reached`` counts that a limit refused something."""

    registry: Registry
    book: AlertBook
    announcing: AlertAnnouncing
    limit_reached: Callable[[str], None]


Parts = Annotated[AlertParts, Depends(provided(AlertParts))]


class _SilenceRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    name: str | None = None
    webhook: str | None = None
    duration: str | None = None
    until: str | None = None
    comment: str = ""


# The negative time in a cursor of a list that has the newest first.
_Newest = Annotated[float, msgspec.Meta(le=0)]
NewSilence = Annotated[dict[str, Any], Body(), SchemaOf(_SilenceRequest)]


@router.get("", responses=answers(Page[AlertAnswer]))
async def list_alerts(
    parts: Parts,
    caller: ReadsWebhooks,
    state: Literal["pending", "firing", "resolved"] | None = None,
    webhook: str | None = None,
    name: Name | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The alerts: those that fire first, then those that are pending, then those that were resolved
    within the last 7 days; of each the newest first.

    A narrowed caller gets those about its own webhooks.
    """
    alerts = [
        (_position(alert), alert)
        for alert in parts.book.alerts.values()
        if state in (None, alert.state)
        and webhook in (None, alert.webhook)
        and name in (None, alert.name)
        and sees_since(caller, parts.registry, alert.webhook, alert.since)
    ]
    page, after = _page(alerts, limit, read_cursor(cursor, tuple[int, float, str, str]))
    return page_members([_shown(parts, alert) for alert in page], after, len(alerts))


@router.get("/history", responses=answers(Page[EpisodeAnswer]))
async def list_episodes(
    parts: Parts,
    caller: ReadsWebhooks,
    webhook: str | None = None,
    name: Name | None = None,
    limit: Limit = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Each time that an alert has fired within the last 7 days, at most the last 21 of each alert;
    the latest first."""
    episodes = [
        ((-episode["since"], alert.name, alert.webhook or ""), (alert, episode))
        for alert in parts.book.alerts.values()
        if webhook in (None, alert.webhook) and name in (None, alert.name)
        for episode in _episodes(alert)
        if sees_since(caller, parts.registry, alert.webhook, episode["since"])
    ]
    page, after = _page(episodes, limit, read_cursor(cursor, tuple[float, str, str]))
    return page_members([_shown_episode(*each) for each in page], after, len(episodes))


@router.get("/silences", responses=answers(Page[SilenceAnswer]))
async def list_silences(
    parts: Parts, caller: ReadsWebhooks, limit: Limit = 100, cursor: str | None = None
) -> dict[str, Any]:
    """The silences that have not ended, the newest first."""
    silences = [
        ((-silence.created_at, silence.id), silence)
        for silence in parts.book.silences
        if sees_since(caller, parts.registry, silence.webhook, silence.created_at)
    ]
    page, after = _page(silences, limit, read_cursor(cursor, tuple[_Newest, str]))
    return page_members([_shown_silence(silence) for silence in page], after, len(silences))


@router.post(
    "/silences", status_code=201, responses=answers(SilenceAnswer, 201, 404, 409, headers=LOCATION)
)
async def create_silence(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("alerts.silence", "silence")],
    once: Once,
    body: NewSilence,
) -> dict[str, Any]:
    """Silences alerts for a while: they are listed, and not announced nor part of the health.

    ``{"name": "webhook_down", "webhook": "crm", "duration": "2h", "comment": "…"}``, or ``until``
    in place of ``duration``. Without ``webhook`` all alerts of a name are silenced, which only
    operators may do; without ``name`` all about a webhook.
    """
    given, now = body_as(_SilenceRequest, body), time.time()
    if given.webhook is None and not caller.is_operator:
        raise Problem(403, "only operators may silence alerts of all webhooks: name one")
    if given.webhook is not None:
        webhook_of(caller, parts.registry, given.webhook)
    silence = Silence(
        f"sil_{secrets.token_hex(8)}", given.name, given.webhook, _until(given, now), now,
        caller.name, given.comment,
    )  # fmt: skip
    check_silence(silence, now)
    if not parts.book.takes_silences:
        parts.limit_reached("silences")
        raise Problem(
            409,
            f"there are {MAX_SILENCES} silences already, or {MAX_REMOVED} were removed within the "
            "last two hours",
        )
    shown = _shown_silence(silence)
    call.about(resource_name("silence", silence.id), after=shown)
    await parts.book.add_silence(silence)
    return shown


@router.get("/silences/{silence_id}", responses=answers(SilenceAnswer))
async def show_silence(parts: Parts, caller: ReadsWebhooks, silence_id: str) -> dict[str, Any]:
    """A silence that has not ended."""
    return _shown_silence(_silence_of(parts, caller, silence_id))


@router.delete("/silences/{silence_id}", status_code=204, responses=answers(None, 204))
async def delete_silence(
    parts: Parts,
    caller: ManagesWebhooks,
    call: Annotated[Call, audited("alerts.unsilence", "silence/{silence_id}")],
    silence_id: str,
) -> None:
    """Ends a silence. Alerts that fire still are announced now."""
    silence = _silence_of(parts, caller, silence_id)
    if silence.webhook is None and not caller.is_operator:
        raise Problem(403, "only operators may end a silence of all webhooks")
    call.about(before=_shown_silence(silence))
    await parts.book.remove_silence(silence.id)


def _silence_of(parts: AlertParts, caller: Principal, silence_id: str) -> Silence:
    silence = parts.book.silence(silence_id)
    registry = parts.registry
    if silence is None or not sees_since(caller, registry, silence.webhook, silence.created_at):
        raise NotRegistered(f"there is no silence {silence_id}")
    return silence


def _until(given: _SilenceRequest, now: float) -> float:
    if (given.duration is None) == (given.until is None):
        raise InvalidDefinition("duration", "give either duration or until")
    if given.duration is not None:
        try:
            return now + parse_duration(given.duration)
        except ValueError as error:
            raise InvalidDefinition("duration", str(error)) from None
    until = time_of("until", given.until)
    assert until is not None
    return until


def _position(alert: Alert) -> tuple[int, float, str, str]:
    return _ORDER[alert.state], -alert.since, alert.name, alert.webhook or ""


def _page(items: list[tuple[Any, Item]], limit: int, after: Any) -> tuple[list[Item], str | None]:
    """At most ``limit`` of the items, sorted by their positions, and the cursor of the rest."""
    left = sorted(
        (item for item in items if after is None or item[0] > after), key=lambda item: item[0]
    )
    page = left[:limit]
    return [item for _, item in page], cursor_of(page[-1][0] if len(left) > limit else None)


def _shown(parts: AlertParts, alert: Alert) -> dict[str, Any]:
    silence = parts.book.silence_of(alert)
    why_not = parts.announcing.not_announced_because(alert) if alert.state == "firing" else None
    return {
        "name": alert.name,
        "webhook": alert.webhook,
        "state": alert.state,
        "severity": alert.severity,
        "since": rfc3339(alert.since),
        "fired_at": rfc3339_or_none(alert.fired_at),
        "resolved_at": rfc3339_or_none(alert.resolved_at),
        "detail": alert.detail,
        "value": alert.value,
        "threshold": alert.threshold,
        "resolved_because": alert.why or None,
        "silenced": None if silence is None else _shown_silence(silence),
        "announced": alert.announced == alert.state,
        "not_announced_because": why_not,
        "runbook": parts.announcing.shown_runbook(alert.name),
    }


def _episodes(alert: Alert) -> list[dict[str, Any]]:
    """The episodes of an alert, the present one first if it has fired."""
    present = [] if alert.fired_at is None else [
        {"since": alert.since, "fired_at": alert.fired_at, "resolved_at": alert.resolved_at,
         "detail": alert.detail, "value": alert.value, "why": alert.why}
    ]  # fmt: skip
    return present + [msgspec.structs.asdict(episode) for episode in alert.past]


def _shown_episode(alert: Alert, episode: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": alert.name,
        "webhook": alert.webhook,
        "severity": alert.severity,
        "since": rfc3339(episode["since"]),
        "fired_at": rfc3339(episode["fired_at"]),
        "resolved_at": rfc3339_or_none(episode["resolved_at"]),
        "detail": episode["detail"],
        "value": episode["value"],
        "resolved_because": episode["why"] or None,
    }


def _shown_silence(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "name": silence.name,
        "webhook": silence.webhook,
        "until": rfc3339(silence.until),
        "comment": silence.comment,
        "created_at": rfc3339(silence.created_at),
        "created_by": silence.created_by,
    }
