"""Secrets: their names, where they come from and who uses them; never their values."""

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.visit import PAGE, Visit


async def list_secrets(visit: Visit) -> Response:
    """A page of secrets, without their values."""
    return await _list(visit, "")


async def save(visit: Visit) -> Response:
    """Sets the value of a secret."""
    name = visit.field("name")
    namespaces = visit.field("namespaces").split()
    body = {"value": visit.form.get("value", [""])[0]} | (
        {"namespaces": namespaces} if namespaces else {}
    )
    try:
        await visit.gateway.set_secret(name, body)  # type: ignore[arg-type]
    except GatewayError as error:
        return await _refused(visit, error)
    return visit.redirect("/secrets", f"The secret {name} is set.")


async def rotate(visit: Visit) -> Response:
    """Sets the next value of a secret; the former one signs for a while, too."""
    name = visit.path("name")
    value, overlap = visit.form.get("value", [""])[0], visit.field("overlap") or "24h"
    try:
        await visit.gateway.rotate_secret(name, {"value": value, "overlap": overlap})
    except GatewayError as error:
        return await _refused(visit, error)
    return visit.redirect("/secrets", f"The secret {name} is rotated.")


async def delete(visit: Visit) -> Response:
    """Deletes a secret of the sealed store."""
    name = visit.path("name")
    await visit.gateway.delete_secret(name)
    return visit.redirect("/secrets", f"The secret {name} is deleted.")


async def _refused(visit: Visit, error: GatewayError) -> Response:
    if error.status not in (409, 422):
        raise error
    return await _list(visit, faults(error))


async def _list(visit: Visit, problem: str) -> Response:
    filters = visit.filters("search")
    found = await visit.gateway.list_secrets(limit=PAGE, cursor=visit.query("cursor"), **filters)
    return await visit.render(
        "secrets/list.html",
        status=422 if problem else 200,
        page=found,
        filters=filters,
        problem=problem,
        given=visit.field("name"),
    )


PAGES = PageGroup(
    name="secrets",
    title="Secrets",
    path="/secrets",
    section="Installation",
    scope="secrets:manage",
    routes=[
        page("/secrets", list_secrets),
        action("/secrets/set", save),
        action("/secrets/{name}/rotate", rotate),
        action("/secrets/{name}/delete", delete),
    ],
)
