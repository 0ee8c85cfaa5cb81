"""The form of a stream: a new one, or a change of one that is there; and its deletion."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from event_gateway.client import GatewayError, etag_of
from event_gateway.console.failures import detail_of, faults_by_member
from event_gateway.console.formats import segment
from event_gateway.console.page_request import PageRequest
from event_gateway.core.text.units import exact_size

TEXTS = ("retention", "max_bytes", "sealed_by")
NUMBERS = ("max_messages", "replicas")
FIELDS = ("name", "subjects", *TEXTS, *NUMBERS, "compression", "compliance")
# In the gateway's refusal of a change that needs ``force``, as it would drop stored events.
DROPS = "force=true drops them"


async def new(request: PageRequest) -> Response:
    """The form of a new stream. The URL may have subjects: ``?subjects=user.*``."""
    return await _form(request, {"subjects": request.query("subjects") or ""}, {}, former=None)


async def edit(request: PageRequest) -> Response:
    """The form of a stream that is there."""
    stream: Any = await request.gateway.show_stream(request.path("name"))
    values: dict[str, Any] = {name: stream.get(name) or "" for name in FIELDS}
    values["subjects"] = "\n".join(stream["subjects"])
    if values["max_bytes"]:
        values["max_bytes"] = exact_size(values["max_bytes"])
    values["etag"] = etag_of(stream) or ""
    return await _form(request, values, {}, former=stream["name"])


async def create(request: PageRequest) -> Response:
    """Registers the stream of the form."""
    given = {name: value for name, value in _definition(request).items() if value is not None}
    body: Any = given | {"name": request.field("name")}
    try:
        created = await request.gateway.create_stream(body)
    except GatewayError as error:
        return await _refused(request, error, former=None)
    text = f"{created['name']} is there, with the events that the log has for it."
    return request.saved(_path(created["name"]), text, created["warnings"])


async def save(request: PageRequest) -> Response:
    """Changes a stream, unless another caller has changed it meanwhile, or that would drop events
    and the user has not said that it may."""
    name, body = request.path("name"), _definition(request)
    try:
        changed = await request.gateway.change_stream(
            name, body, force=bool(request.field("force")) or None,  # type: ignore[arg-type]
            if_match=request.etag,
        )  # fmt: skip
    except GatewayError as error:
        return await _refused(request, error, former=name)
    return request.saved(_path(name), f"{name} is changed.", changed["warnings"])


async def delete(request: PageRequest) -> Response:
    """Deletes a stream with its events."""
    name = request.path("name")
    await request.gateway.delete_stream(name)
    return request.redirect("/streams", f"{name} is deleted, with its events.")


def _definition(request: PageRequest) -> dict[str, Any]:
    """What the form says; None for what it leaves empty, so that a change removes that limit."""
    return {
        "subjects": request.field("subjects").replace(",", "\n").split(),
        "compression": request.field("compression") or None,
        "compliance": bool(request.field("compliance")),
        **{name: request.field(name) or None for name in TEXTS},
        **{name: _number(request.field(name)) for name in NUMBERS},
    }


def _number(text: str) -> int | str | None:
    """A number, or the text that the gateway then refuses beside its field."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text or None


def _path(name: str) -> str:
    return f"/streams/{segment(name)}"


async def _refused(request: PageRequest, error: GatewayError, former: str | None) -> Response:
    """The form again, with what the gateway says of its fields."""
    if error.status not in (409, 412, 422):
        raise error
    errors = {
        name if name in FIELDS else "": text for name, text in faults_by_member(error).items()
    }
    if not errors:
        errors = {"name" if error.status == 409 and former is None else "": detail_of(error)}
    values = {name: request.field(name) for name in (*FIELDS, "etag")}
    return await _form(request, values, errors, former, drops=DROPS in error.detail)


async def _form(
    request: PageRequest,
    values: Mapping[str, Any],
    errors: Mapping[str, str],
    former: str | None,
    *,
    drops: bool = False,
) -> Response:
    return await request.render(
        "streams/form.html",
        status=422 if errors else 200,
        values={"etag": "", **values},
        errors=errors,
        former=former,
        drops=drops,
    )
