"""What a route says for the OpenAPI document: of the body that it takes, and of its answers.

    NewStream = Annotated[dict[str, Any], Body(), SchemaOf(StreamBody)]

    @router.post("", status_code=201, responses=answers(StreamAnswer, 201, 409))
    async def create_stream(parts: Parts, caller: Operator, body: NewStream) -> dict[str, Any]:

Answers are described, not validated: a test compares them with what the gateway sends.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from fastapi.utils import create_model_field
from pydantic import TypeAdapter
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue

Responses = dict[int | str, dict[str, Any]]

# Members that the document replaces. Of an operation: the scope that it needs, whether nothing may
# narrow that scope, and whether a browser token opens it; of an operation or a response: statuses
# of its errors.
SCOPE, UNCONFINED, LIVE, ERRORS = "x-scope", "x-unconfined", "x-live", "x-errors"
MODEL = "x-model"  # of a response: the type of its body


class SchemaOf:
    """The schema of a body that the route takes as plain JSON: that of ``model``, which validates
    it. ``optional``: members that this route does not require. ``patch``: the body is a merge
    patch (RFC 7396): it requires nothing, and null removes a member."""

    def __init__(self, model: Any, *, optional: tuple[str, ...] = (), patch: bool = False) -> None:
        self._model = model
        self._optional = optional
        self._patch = patch

    def __get_pydantic_json_schema__(
        self, _core_schema: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        if isinstance(self._model, type) and issubclass(self._model, msgspec.Struct):
            whole = struct_schema(self._model)
        else:
            schema = handler(TypeAdapter(self._model).core_schema)
            if not (self._optional or self._patch):
                return schema
            whole = dict(handler.resolve_ref_schema(schema))
        required = [name for name in whole.pop("required", ()) if name not in self._optional]
        if self._patch:
            whole["title"] = f"{whole['title']}Patch"
            whole["properties"] = {
                name: _or_null(member) for name, member in whole["properties"].items()
            }
        elif required:
            whole["required"] = required
        return whole


class StructSchema:
    """The schema of a value that msgspec has encoded from a struct."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self._struct = struct

    def __get_pydantic_json_schema__(self, _core_schema: Any, _handler: Any) -> JsonSchemaValue:
        return struct_schema(self._struct)


def struct_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a struct that contains no other struct."""
    _, components = msgspec.json.schema_components([struct])
    (schema,) = components.values()
    for member in schema["properties"].values():
        if member.get("type") == "array":
            member.setdefault("items", {})  # which some generators need
    return dict(schema)


def answers(
    model: Any = None,
    status: int = 200,
    *errors: int,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    description: str = "",
) -> Responses:
    """What a route answers: ``model`` with ``status``, and problems with the statuses in ``errors``
    beside those of all routes. ``headers``: descriptions by name."""
    described: dict[str, Any] = {"description": description or _DESCRIPTIONS.get(status, "Done.")}
    if model is not None:
        described[MODEL] = model
    elif media_type != "application/json":
        described |= {"content": {media_type: {"schema": {"type": "string"}}}}
    if headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    described[ERRORS] = list(errors)
    return {status: described}


def add_models(route: APIRoute) -> None:
    """Gives FastAPI the types of a route's answers. Only the document needs them, and FastAPI would
    build their schemas when the module is imported: an eighth of the time of a start."""
    for status, described in route.responses.items():
        if MODEL in described:
            route.response_fields[status] = create_model_field(
                name=f"Response_{status}_{route.unique_id}",
                type_=described[MODEL],
                mode="serialization",
            )
    route.responses = {
        status: {name: value for name, value in described.items() if name != MODEL}
        for status, described in route.responses.items()
    }


_DESCRIPTIONS = {
    200: "Done.", 201: "Created.", 202: "Accepted.", 204: "Done; the answer has no body."
}  # fmt: skip


LOCATION = {"Location": "The path of what was created."}  # a header
# What a read answers whose caller has the definition already.
NOT_MODIFIED: Responses = {304: {"description": "The definition has the ETag that was sent."}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    options = schema.get("anyOf")
    if options is not None and {"type": "null"} in options:
        return schema
    either: dict[str, Any] = {"anyOf": [schema, {"type": "null"}]}
    if "description" in schema:
        either["description"] = schema["description"]
    return either
