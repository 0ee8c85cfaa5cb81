"""Generates the models and the methods of :mod:`event_gateway.client` from the OpenAPI document:
a module of each for each tag.

``make docs`` writes them and lets ruff format them; a test holds them against the routes.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from event_gateway.api import routes
from event_gateway.api.live import sse, websocket
from event_gateway.api.openapi.document import openapi_document
from event_gateway.api.openapi.python_client import models, operations
from event_gateway.api.openapi.python_client.models import Models
from event_gateway.api.openapi.python_client.operations import Operation
from event_gateway.api.routes.signing_keys import PATH as SIGNING_KEYS

FOLDER = Path(__file__).parents[3] / "client"
FOLDERS = ("models", "operations")  # which hold nothing but generated files
# Their methods are written by hand, or they are not for programs.
NOT_GENERATED = {
    "export_audit_log", "follow_audit_log", "follow_stream", "open_websocket", "publish_events",
    "show_events_options",
}  # fmt: skip


def offline_document() -> dict[str, Any]:
    """The OpenAPI document, made of the routes alone: of a gateway that nobody has started."""
    app = FastAPI(title="Event Gateway", version="0", openapi_url=None, docs_url=None)
    names = [name for _, name, _ in pkgutil.iter_modules(routes.__path__)]
    modules = [importlib.import_module(f"{routes.__name__}.{name}") for name in names]
    found = {
        id(value): value
        for module in (*modules, sse, websocket)
        for value in vars(module).values()
        if isinstance(value, APIRouter)
    }
    for router in found.values():
        app.router.routes.extend(router.routes)
    described = [route for route in app.router.routes if isinstance(route, APIRoute)]
    return openapi_document(app, described, methods=("api_key",), signing_keys=SIGNING_KEYS)


def sources(document: dict[str, Any]) -> dict[str, str]:
    """The text of each generated file, by its path in the folder of the client."""
    known = Models(document)
    found = sorted(
        (
            Operation(method, path, operation, known)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if operation["operationId"] not in NOT_GENERATED
        ),
        key=lambda operation: operation.name,
    )
    files = {"models": models.files(known), "operations": operations.files(found, known)}
    return {f"{folder}/{name}": text for folder in FOLDERS for name, text in files[folder].items()}


def write() -> None:
    """Writes the files, and removes those of tags that are gone."""
    files = sources(offline_document())
    for name, text in files.items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for path in written() - {FOLDER / name for name in files}:
        path.unlink()


def written() -> set[Path]:
    """The generated files that are there."""
    return {path for folder in FOLDERS for path in (FOLDER / folder).glob("*.py")}
