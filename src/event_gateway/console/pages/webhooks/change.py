"""The form of a webhook: a new one, or a change of one that is there."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError, etag_of
from event_gateway.console.failures import detail_of
from event_gateway.console.pages.webhooks.definition import (
    AUTH_TYPES,
    FIELDS,
    definition_of,
    field_errors,
    fields_of,
)
from event_gateway.console.pages.webhooks.look import defaults
from event_gateway.console.pages.webhooks.texts import as_curl, as_yaml, own_members
from event_gateway.console.visit import Visit

TRANSFORMATIONS = ("standard", "analytics_format", "crm_format", "siem_format")
TRIED = 20  # latest events that a definition is tried on
PATTERNS = 5  # of a definition, whose events are read


async def new(visit: Visit) -> Response:
    """The form of a new webhook. The URL may have values: ``?events=user.>``."""
    given = {name: value for name in FIELDS if (value := visit.query(name)) is not None}
    values = fields_of({}) | {"enrich": True} | given
    return await _form(visit, values, {}, former=None)


async def edit(visit: Visit) -> Response:
    """The form of a webhook that is there."""
    webhook, plain = await asyncio.gather(
        visit.gateway.show_webhook(visit.path("webhook_id")), defaults(visit)
    )
    values = fields_of(own_members(webhook, plain)) | {"etag": etag_of(webhook) or ""}
    return await _form(visit, values, {}, former=webhook["id"])


async def create(visit: Visit) -> Response:
    """Registers the webhook of the form."""
    definition, errors = definition_of(visit.form)
    if errors:
        return await _form(visit, _given(visit), errors, former=None)
    try:
        created = await visit.gateway.create_webhook(definition)  # type: ignore[arg-type]
    except GatewayError as error:
        return await _refused(visit, error, former=None)
    return visit.saved(
        f"/webhooks/{created['id']}",
        f"{created['id']} is registered. It gets every matching event from now on.",
        created["warnings"],
    )


async def save(visit: Visit) -> Response:
    """Replaces the definition of a webhook, unless somebody else has changed it meanwhile."""
    name = visit.path("webhook_id")
    definition, errors = definition_of(visit.form)
    if errors:
        return await _form(visit, _given(visit), errors, former=name)
    try:
        changed = await visit.gateway.replace_webhook(
            name, definition, if_match=visit.etag  # type: ignore[arg-type]
        )  # fmt: skip
    except GatewayError as error:
        return await _refused(visit, error, former=name)
    return visit.saved(f"/webhooks/{name}", f"{name} is changed.", changed["warnings"])


async def check(visit: Visit) -> Response:
    """What the form would do, beside it as it is filled in: a part of the page."""
    definition, errors = definition_of(visit.form)
    checked: Any = None
    seen: list[Any] = []
    if not errors:
        seen = await _latest_events(visit, definition.get("events") or [])
        try:
            checked = await visit.gateway.check_webhook({"webhook": definition, "events": seen})
        except GatewayError as error:
            if error.status != 422:
                raise
            errors = field_errors(error.problem)
    return await visit.render(
        "webhooks/checked.html",
        checked=checked,
        errors=errors,
        fields=FIELDS,
        looked=visit.may("events:read"),
        former=visit.field("former"),
        touched=set(visit.form) if visit.field("all") else _touched(visit.form),
        yaml=as_yaml(definition),
        curl=as_curl(definition),
    )


async def _latest_events(visit: Visit, patterns: list[str]) -> list[Any]:
    """The latest events of the types that a definition is for, for those who may read them."""
    if not visit.may("events:read"):
        return []

    async def latest(pattern: str) -> list[Any]:
        with contextlib.suppress(GatewayError):  # it is no pattern
            page = await visit.gateway.list_events(type=pattern, limit=TRIED)
            return [(each["sequence"], each["event"]) for each in page["items"]]
        return []

    found = await asyncio.gather(*(latest(pattern) for pattern in patterns[:PATTERNS]))
    by_sequence = {seq: event for each in found for seq, event in each}
    return [by_sequence[seq] for seq in sorted(by_sequence, reverse=True)[:TRIED]]


async def _refused(visit: Visit, error: GatewayError, former: str | None) -> Response:
    """The form again, with what the gateway says of its fields."""
    if error.status not in (409, 412, 422):
        raise error
    errors = field_errors(error.problem)
    if error.status == 409 and former is None:
        errors = {"id": error.detail}
    elif error.status == 412:
        errors = {"": detail_of(error)}
    return await _form(visit, _given(visit), errors, former=former)


async def _form(
    visit: Visit, values: Mapping[str, Any], errors: Mapping[str, str], former: str | None
) -> Response:
    return await visit.render(
        "webhooks/form.html",
        status=422 if errors else 200,
        values={"etag": "", **values},
        errors=errors,
        former=former,
        auth_types=AUTH_TYPES,
        transformations=TRANSFORMATIONS,
    )


def _given(visit: Visit) -> dict[str, Any]:
    return {name: visit.field(name) for name in (*FIELDS, "etag")}


def _touched(form: Mapping[str, list[str]]) -> set[str]:
    """Fields with a value: an empty one that is needed is no mistake before it was reached."""
    return {name for name, values in form.items() if values[0].strip()}
