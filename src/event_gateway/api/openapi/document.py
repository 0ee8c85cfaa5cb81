"""Generates the OpenAPI 3.1 document from the routes of the application."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from event_gateway.api.access.guarded_route import GuardedRoute
from event_gateway.api.openapi.described import ERRORS, LIVE, SCOPE, UNCONFINED, add_models
from event_gateway.api.openapi.examples import add_examples
from event_gateway.api.openapi.plain_operations import plain_operations, plain_schemas
from event_gateway.api.openapi.problem_answers import PROBLEM, problem, usual_statuses
from event_gateway.api.openapi.security import (
    requirements,
    scope_list,
    scope_note,
    security_schemes,
)

_PAGE = re.compile(r"Page_(?:Union_)?([A-Za-z]+)_+\w*")
_ABOUT = """The API of the Event Gateway. Events that are published, over HTTP or NATS, are \
delivered to webhooks and streamed to subscribers.

Errors are problem details (RFC 9457). Beside the statuses of an operation, every request can be \
answered with 405 (`Allow` lists the methods of the path), 408, 414, 417, 431, 501 or 505 by the \
HTTP layer, and with 500. Every GET also answers HEAD. The messages of `/v1/ws` and the event \
types are described by [AsyncAPI](/asyncapi.json).

Scopes of callers:

"""


def openapi_document(
    app: FastAPI, routes: Iterable[APIRoute], *, methods: Sequence[str], signing_keys: str
) -> dict[str, Any]:
    """The document. ``routes``: FastAPI's; ``methods``: the names of the methods by which callers
    prove themselves; ``signing_keys``: the path of the public keys."""
    routes = list(routes)
    for route in routes:
        add_models(route)
    document = get_openapi(
        title=app.title, version=app.version, description=_ABOUT + scope_list(), routes=app.routes
    )
    paths = document["paths"]
    for route in routes:
        for method in (route.methods or ()) if route.include_in_schema else ():
            operation = paths[route.path_format][method.lower()]
            operation["operationId"] = route.name  # generators make the names of functions of it
            if isinstance(route, GuardedRoute):
                operation[SCOPE] = route.requirement.scope
                operation[UNCONFINED] = route.requirement.unconfined
    for path, operations in plain_operations(signing_keys).items():
        paths.setdefault(path, {}).update(operations)
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method == "patch":
                _patch_types(operation)
            _complete(operation, path, methods)
            add_examples(operation)
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas |= plain_schemas() | {"Problem": PROBLEM}
    for operations in paths.values():
        for operation in operations.values():
            _name_bodies(operation, schemas)
    document = _with_plain_names(document)
    paths = document["paths"]
    document["components"]["securitySchemes"] = security_schemes(methods)
    document["paths"] = dict(sorted(paths.items()))
    return document


def _name_bodies(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Gives a body that is described in an operation a name, of which generators make a class. It
    may be one of several that fit, such as null."""
    words = operation["operationId"].split("_")
    name = "".join(word.capitalize() for word in words) + "Body"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for place, key in ((content, "schema"), *_options(content["schema"])):
            if "properties" in place[key]:
                schemas[name] = place[key]
                place[key] = {"$ref": f"#/components/schemas/{name}"}


def _options(schema: dict[str, Any]) -> list[tuple[Any, Any]]:
    """The places of the schemas of which a value fits one: a list, and a position."""
    options = schema.get("anyOf", [])
    return [(options, position) for position in range(len(options))]


def _with_plain_names(document: dict[str, Any]) -> dict[str, Any]:
    """The document with names of schemas that are words, such as WebhookAnswerPage, and titles that
    are these names: generators make classes of either."""
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    for name in schemas:
        if (page := _PAGE.fullmatch(name)) is not None:
            text = text.replace(f'"{name}"', f'"{page[1]}Page"')
            text = text.replace(f'/{name}"', f'/{page[1]}Page"')
    named: dict[str, Any] = json.loads(text)
    for name, schema in named["components"]["schemas"].items():
        schema["title"] = name
    return named


def _patch_types(operation: dict[str, Any]) -> None:
    """A PATCH takes its body under the media type of merge patches (RFC 7396) too."""
    content = operation["requestBody"]["content"]
    content["application/merge-patch+json"] = content["application/json"]


def _complete(operation: dict[str, Any], path: str, methods: Sequence[str]) -> None:
    """Adds what the operation requires of its caller, and the errors that it answers."""
    scope, unconfined = operation.pop(SCOPE, None), operation.pop(UNCONFINED, False)
    live = operation.pop(LIVE, False)
    operation["security"] = [] if scope is None else requirements(methods, scope, live=live)
    if scope is not None:
        note = scope_note(scope, unconfined=unconfined)
        operation["description"] = f"{operation.get('description', '')}\n\n{note}"
    responses = operation["responses"]
    statuses = set(operation.pop(ERRORS, ()))
    responses.pop("422", None)  # FastAPI's own, of another shape
    for response in responses.values():
        statuses |= set(response.pop(ERRORS, ()))
        _tidy(response)
    statuses |= usual_statuses(operation, path, guarded=scope is not None)
    for status in sorted(statuses):
        responses.setdefault(str(status), problem(status))
    operation["responses"] = dict(sorted(responses.items()))


def _tidy(response: dict[str, Any]) -> None:
    """Leaves one content type, and of its schema what the route has described."""
    content = response.get("content", {})
    if len(content) > 1 and content.get("application/json") == {"schema": {}}:
        del content["application/json"]
    for media in content.values():
        if "$ref" in media.get("schema", {}):
            media["schema"] = {"$ref": media["schema"]["$ref"]}
