"""The form of a webhook: a new one, or a change of one that is there."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError, etag_of
from event_gateway.console.failures import detail_of
from event_gateway.console.page_request import PageRequest
from event_gateway.console.pages.webhooks.definition import (
    AUTH_TYPES,
    FIELDS,
    definition_of,
    field_errors,
    fields_of,
)
from event_gateway.console.pages.webhooks.texts import as_curl, as_yaml, own_members
from event_gateway.console.pages.webhooks.views import defaults

TRANSFORMATIONS = ("standard", "analytics_format", "crm_format", "siem_format")
TRIED = 20  # latest events that a definition is tried on
PATTERNS = 5  # of a definition, whose events are read


async def new(request: PageRequest) -> Response:
    """The form of a new webhook. The URL may have values: ``?events=user.>``."""
    given = {name: value for name in FIELDS if (value := request.query(name)) is not None}
    values = fields_of({}) | {"enrich": True} | given
    return await _form(request, values, {}, former=None)


async def edit(request: PageRequest) -> Response:
    """The form of a webhook that is there."""
    webhook, plain = await asyncio.gather(
        request.gateway.show_webhook(request.path("webhook_id")), defaults(request)
    )
    values = fields_of(own_members(webhook, plain)) | {"etag": etag_of(webhook) or ""}
    return await _form(request, values, {}, former=webhook["id"])


async def create(request: PageRequest) -> Response:
    """Registers the webhook of the form."""
    definition, errors = definition_of(request.form)
    if errors:
        return await _form(request, _given(request), errors, former=None)
    try:
        created = await request.gateway.create_webhook(definition)  # type: ignore[arg-type]
    except GatewayError as error:
        return await _refused(request, error, former=None)
    return request.saved(
        f"/webhooks/{created['id']}",
        f"{created['id']} is registered. It gets every matching event from now on.",
        created["warnings"],
    )


async def save(request: PageRequest) -> Response:
    """Replaces the definition of a webhook, unless another caller has changed it meanwhile."""
    name = request.path("webhook_id")
    definition, errors = definition_of(request.form)
    if errors:
        return await _form(request, _given(request), errors, former=name)
    try:
        changed = await request.gateway.replace_webhook(
            name, definition, if_match=request.etag  # type: ignore[arg-type]
        )  # fmt: skip
    except GatewayError as error:
        return await _refused(request, error, former=name)
    return request.saved(f"/webhooks/{name}", f"{name} is changed.", changed["warnings"])


async def check(request: PageRequest) -> Response:
    """What the form would do, beside it as it is filled in: a part of the page."""
    definition, errors = definition_of(request.form)
    checked: Any = None
    seen: list[Any] = []
    if not errors:
        seen = await _latest_events(request, definition.get("events") or [])
        try:
            checked = await request.gateway.check_webhook({"webhook": definition, "events": seen})
        except GatewayError as error:
            if error.status != 422:
                raise
            errors = field_errors(error.problem)
    return await request.render(
        "webhooks/checked.html",
        checked=checked,
        errors=errors,
        fields=FIELDS,
        looked=request.may("events:read"),
        former=request.field("former"),
        touched=set(request.form) if request.field("all") else _touched(request.form),
        yaml=as_yaml(definition),
        curl=as_curl(definition),
    )


async def _latest_events(request: PageRequest, patterns: list[str]) -> list[Any]:
    """The latest events of the types that a definition is for, for those who may read them."""
    if not request.may("events:read"):
        return []

    async def latest(pattern: str) -> list[Any]:
        with contextlib.suppress(GatewayError):  # it is no pattern
            page = await request.gateway.list_events(type=pattern, limit=TRIED)
            return [(each["sequence"], each["event"]) for each in page["items"]]
        return []

    found = await asyncio.gather(*(latest(pattern) for pattern in patterns[:PATTERNS]))
    by_sequence = {seq: event for each in found for seq, event in each}
    return [by_sequence[seq] for seq in sorted(by_sequence, reverse=True)[:TRIED]]


async def _refused(request: PageRequest, error: GatewayError, former: str | None) -> Response:
    """The form again, with what the gateway says of its fields."""
    if error.status not in (409, 412, 422):
        raise error
    errors = field_errors(error.problem)
    if error.status == 409 and former is None:
        errors = {"id": error.detail}
    elif error.status == 412:
        errors = {"": detail_of(error)}
    return await _form(request, _given(request), errors, former=former)


async def _form(
    request: PageRequest, values: Mapping[str, Any], errors: Mapping[str, str], former: str | None
) -> Response:
    return await request.render(
        "webhooks/form.html",
        status=422 if errors else 200,
        values={"etag": "", **values},
        errors=errors,
        former=former,
        auth_types=AUTH_TYPES,
        transformations=TRANSFORMATIONS,
    )


def _given(request: PageRequest) -> dict[str, Any]:
    return {name: request.field(name) for name in (*FIELDS, "etag")}


def _touched(form: Mapping[str, list[str]]) -> set[str]:
    """Fields with a value: an empty one that is needed is no mistake before it was reached."""
    return {name for name, values in form.items() if values[0].strip()}
