"""API keys: who may do what, until when."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults_by_member
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest

# In the words of the reference of the scopes.
SCOPES = (
    ("events:publish", "Publish events"),
    ("events:read", "Read the log and the event types"),
    ("streams:read", "Read streams and subscribe to them"),
    ("webhooks:read", "Read webhooks, alerts and the overview"),
    ("webhooks:manage", "Register, change, try and delete webhooks"),
    ("deliveries:read", "Read deliveries, dead letters and replays"),
    ("deliveries:manage", "Retry, cancel, resend and replay"),
    ("secrets:manage", "Set, rotate and delete secrets"),
    ("metrics:read", "Read metrics and health"),
    ("admin", "All of it; without narrowing also the installation"),
)
NARROWINGS = ("namespaces", "types", "streams")


async def list_keys(request: PageRequest) -> Response:
    """A page of keys, without their values."""
    filters = request.filters("search")
    found = await request.gateway.list_keys(limit=PAGE, cursor=request.query("cursor"), **filters)
    return await request.render("keys/list.html", page=found, filters=filters)


async def new(request: PageRequest) -> Response:
    """The form of a new key."""
    return await _form(request, {"name": "", "expires_in": "90d", "scopes": []}, {})


async def create(request: PageRequest) -> Response:
    """Issues a key, and shows it this once."""
    body: dict[str, Any] = {"name": request.field("name"), "scopes": request.form.get("scopes", [])}
    if request.field("expires_in"):
        body["expires_in"] = request.field("expires_in")
    body |= {name: words for name in NARROWINGS if (words := request.field(name).split())}
    try:
        made = await request.gateway.create_key(body)  # type: ignore[arg-type]
    except GatewayError as error:
        if error.status != 422:
            raise
        given = {name: request.field(name) for name in ("name", "expires_in", *NARROWINGS)}
        errors = faults_by_member(error) or {"": error.detail}
        return await _form(request, given | {"scopes": body["scopes"]}, errors)
    return await request.render("keys/made.html", made=made, rotated=False)


async def rotate(request: PageRequest) -> Response:
    """Issues another value of a key, and shows it this once."""
    overlap = request.field("overlap") or "24h"
    made = await request.gateway.rotate_key(request.path("key_id"), {"overlap": overlap})
    return await request.render("keys/made.html", made=made, rotated=True)


async def revoke(request: PageRequest) -> Response:
    """Revokes a key: it opens nothing any more."""
    await request.gateway.revoke_key(request.path("key_id"))
    return request.redirect("/keys", f"The key {request.field('name')} is revoked.")


async def _form(
    request: PageRequest, values: Mapping[str, Any], errors: Mapping[str, str]
) -> Response:
    return await request.render(
        "keys/form.html",
        status=422 if errors else 200,
        values=values,
        errors=errors,
        scopes=SCOPES,
    )


PAGES = PageGroup(
    name="keys",
    title="API keys",
    path="/keys",
    section="Installation",
    scope="admin",
    operator=True,
    routes=[
        page("/keys", list_keys),
        page("/keys/new", new),
        action("/keys/new", create),
        action("/keys/{key_id}/rotate", rotate),
        action("/keys/{key_id}/revoke", revoke),
    ],
)
