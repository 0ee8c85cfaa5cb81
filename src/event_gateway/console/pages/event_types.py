"""Event types: the catalog, with schemas and examples, and its exchange as AsyncAPI."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

from event_gateway.client import GatewayError, etag_of
from event_gateway.console.failures import detail_of, faults_by_member
from event_gateway.console.formats import segment
from event_gateway.console.page_group import PageGroup, action, page
from event_gateway.console.page_request import PAGE, PageRequest

ENFORCED = (("", "as configured"), ("off", "off"), ("warn", "warn"), ("reject", "reject"))
FIELDS = ("type", "description", "owner", "dataschema", "enforce", "schema", "examples")


async def list_event_types(request: PageRequest) -> Response:
    """A page of the catalog."""
    filters = request.filters("search", "owner")
    found = await request.gateway.list_event_types(
        limit=PAGE, cursor=request.query("cursor"), **filters
    )
    return await request.render("event_types/list.html", page=found, filters=filters)


async def show_event_type(request: PageRequest) -> Response:
    """One event type, with its schema and its examples."""
    found = await request.gateway.show_event_type(request.path("name"))
    return await request.render("event_types/show.html", found=found)


async def new(request: PageRequest) -> Response:
    """The form of a new event type."""
    return await _form(request, dict.fromkeys(FIELDS, ""), {}, former=None)


async def edit(request: PageRequest) -> Response:
    """The form of an event type that is there."""
    found = await request.gateway.show_event_type(request.path("name"))
    values = {name: found.get(name) or "" for name in FIELDS} | {
        name: json.dumps(found[name], indent=2, ensure_ascii=False)
        if found.get(name) else ""
        for name in ("schema", "examples")
    }  # fmt: skip
    values["etag"] = etag_of(found) or ""
    return await _form(request, values, {}, former=found["type"])


async def save(request: PageRequest) -> Response:
    """Registers an event type; or replaces one, unless another caller has changed it meanwhile."""
    former = request.field("former") or None
    body: dict[str, Any] = {
        name: request.field(name)
        for name in FIELDS[:5]
        if request.field(name) or name == "description"
    }
    errors = {}
    for name in ("schema", "examples"):
        if not request.field(name):
            continue
        try:
            body[name] = json.loads(request.field(name))
        except (ValueError, RecursionError) as error:
            errors[name] = f"This is not JSON: {error}."
    if errors:
        return await _form(request, _given(request), errors, former)
    try:
        if former is None:
            found = await request.gateway.create_event_type(body)  # type: ignore[arg-type]
        else:
            found = await request.gateway.put_event_type(
                former, body, if_match=request.etag  # type: ignore[arg-type]
            )  # fmt: skip
    except GatewayError as error:
        if error.status not in (409, 412, 422):
            raise
        return await _form(request, _given(request), _errors_of(error), former)
    path = f"/event-types/{segment(found['type'])}"
    return request.redirect(path, f"{found['type']} is {'changed' if former else 'registered'}.")


async def delete(request: PageRequest) -> Response:
    """Takes an event type out of the catalog."""
    name = request.path("name")
    await request.gateway.delete_event_type(name)
    return request.redirect("/event-types", f"{name} is not in the catalog any more.")


async def export(request: PageRequest) -> Response:
    """The catalog as an AsyncAPI document, as a file."""
    document = await request.gateway.export_event_types()
    return JSONResponse(
        document, headers={"Content-Disposition": 'attachment; filename="event-types.json"'}
    )


async def show_import(request: PageRequest) -> Response:
    """The form for an AsyncAPI document."""
    return await request.render("event_types/import.html", document="", found=None, problem="")


async def take_document(request: PageRequest) -> Response:
    """Says what an AsyncAPI document would change, and changes that once it is confirmed."""
    document, confirmed = request.field("document"), bool(request.field("confirmed"))
    found, problem = None, ""
    try:
        found = await request.gateway.import_event_types(document, dry_run=not confirmed)
    except GatewayError as error:
        if error.status not in (409, 422):
            raise
        told = [each["detail"] for each in error.problem.get("errors") or []]
        problem = " ".join([error.detail, *told[:10]])
    if found is not None and confirmed:
        number = len(found["created"]) + len(found["changed"])
        return request.redirect("/event-types", f"{number} event types are registered.")
    return await request.render(
        "event_types/import.html",
        status=422 if problem else 200,
        document=document,
        found=found,
        problem=problem,
    )


async def _form(
    request: PageRequest, values: Mapping[str, Any], errors: Mapping[str, str], former: str | None
) -> Response:
    return await request.render(
        "event_types/form.html",
        status=422 if errors else 200,
        values={"etag": "", **values},
        errors=errors,
        former=former,
        enforced=ENFORCED,
    )


def _given(request: PageRequest) -> dict[str, str]:
    return {name: request.field(name) for name in (*FIELDS, "etag")}


def _errors_of(error: GatewayError) -> dict[str, str]:
    """What is wrong, by the field; what is of no field by the empty name."""
    errors = faults_by_member(error)
    known = {name: text for name, text in errors.items() if name in FIELDS}
    return known or {"": detail_of(error)}


PAGES = PageGroup(
    name="event_types",
    title="Event types",
    path="/event-types",
    section="Take in",
    scope="events:read",
    routes=[
        page("/event-types", list_event_types),
        # No type is named so that another page is at its address.
        page("/new-event-type", new),
        page("/edit-event-type/{name:path}", edit),
        action("/save-event-type", save),
        page("/export-event-types", export),
        page("/import-event-types", show_import),
        action("/import-event-types", take_document),
        action("/event-types/{name:path}/delete", delete),
        page("/event-types/{name:path}", show_event_type),
    ],
)
