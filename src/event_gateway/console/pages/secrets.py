"""Secrets: their names, where they come from and who uses them; never their values."""

from starlette.responses import Response

from event_gateway.client import GatewayError
from event_gateway.console.failures import faults
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest


async def list_secrets(request: PageRequest) -> Response:
    """A page of secrets, without their values."""
    return await _list(request, "")


async def save(request: PageRequest) -> Response:
    """Sets the value of a secret."""
    name = request.field("name")
    namespaces = request.field("namespaces").split()
    body = {"value": request.form.get("value", [""])[0]} | (
        {"namespaces": namespaces} if namespaces else {}
    )
    try:
        await request.gateway.set_secret(name, body)  # type: ignore[arg-type]
    except GatewayError as error:
        return await _refused(request, error)
    return request.redirect("/secrets", f"The secret {name} is set.")


async def rotate(request: PageRequest) -> Response:
    """Sets the next value of a secret; the former one signs for a while, too."""
    name = request.path("name")
    value, overlap = request.form.get("value", [""])[0], request.field("overlap") or "24h"
    try:
        await request.gateway.rotate_secret(name, {"value": value, "overlap": overlap})
    except GatewayError as error:
        return await _refused(request, error)
    return request.redirect("/secrets", f"The secret {name} is rotated.")


async def delete(request: PageRequest) -> Response:
    """Deletes a secret of the sealed store."""
    name = request.path("name")
    await request.gateway.delete_secret(name)
    return request.redirect("/secrets", f"The secret {name} is deleted.")


async def _refused(request: PageRequest, error: GatewayError) -> Response:
    if error.status not in (409, 422):
        raise error
    return await _list(request, faults(error))


async def _list(request: PageRequest, problem: str) -> Response:
    filters = request.filters("search")
    found = await request.gateway.list_secrets(
        limit=PAGE, cursor=request.query("cursor"), **filters
    )
    return await request.render(
        "secrets/list.html",
        status=422 if problem else 200,
        page=found,
        filters=filters,
        problem=problem,
        given=request.field("name"),
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
