"""The OpenAPI document, against the routes that the application has."""

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from jsonschema import Draft202012Validator

from event_gateway.api.openapi.document import openapi_document
from event_gateway.api.openapi.examples import ANSWERS, BODIES
from event_gateway.api.server import application
from event_gateway.cli.process.serve import Running
from support.client import Client
from support.fixtures import Start
from support.patience import PATIENCE
from support.routes import operations_of

pytestmark = pytest.mark.shared

# What anybody may call. The page of the documentation holds nothing of the installation.
OPEN = {
    ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/.well-known/webhook-keys.json"),
    ("OPTIONS", "/v1/events"), ("GET", "/docs"), ("GET", "/docs/{name}"),
    # A third party proves itself to the source.
    ("POST", "/v1/sources/{name}"), ("OPTIONS", "/v1/sources/{name}"),
    ("GET", "/problems/{code}"),
}  # fmt: skip
# What every caller may call, whatever its scopes.
EVERY_CALLER = {("GET", "/v1/caller")}
PAGE = {("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/docs/{name}"),
        ("GET", "/problems/{code}")}  # fmt: skip


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _refs(item)


async def test_the_gateway_works_on_while_the_document_is_made(
    start: Start, connect: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, others_answered, calls = threading.Event(), threading.Event(), []

    def slow(*args: Any, **kwargs: Any) -> dict[str, Any]:
        begun.set()
        calls.append(others_answered.wait(PATIENCE))
        return openapi_document(*args, **kwargs)

    monkeypatch.setattr(application, "openapi_document", slow)
    client: Client = await connect(await start({}))
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(client.http.get("/openapi.json")) for _ in range(3)]
        async with asyncio.timeout(PATIENCE):
            while not begun.is_set():
                await asyncio.sleep(0.01)
        assert (await client.http.get("/healthz")).status_code == 200
        asked[0].cancel()
        others_answered.set()
    assert [task.result().json()["openapi"] for task in asked[1:]] == ["3.1.0"] * 2
    assert calls == [True]


async def test_the_document_has_every_route_with_what_it_needs(
    gateway: Running, client: Client
) -> None:
    routes = operations_of(gateway.gateway.asgi.app)
    assert len(routes) > 60
    document = (await client.http.get("/openapi.json")).json()
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    assert described == routes - PAGE
    for method, path in sorted(described):
        operation = document["paths"][path][method.lower()]
        is_open = (method, path) in OPEN
        assert is_open == (operation["security"] == []), (method, path)
        scope = re.search(r"Needs the scope `[a-z:]+`", operation["description"])
        unscoped = is_open or (method, path) in EVERY_CALLER
        assert (scope is None) == unscoped, (method, path)
        proven = (method, path) == ("POST", "/v1/sources/{name}")  # to the source
        assert is_open == ("401" not in operation["responses"] or proven), (method, path)
        for status, response in operation["responses"].items():
            problem = [*response.get("content", {})] == ["application/problem+json"]
            assert problem == (status >= "400" and (path, status) != ("/readyz", "503")), path
    _check_names_and_examples(document)
    problem = (await client.http.get("/v1/webhooks/none")).json()
    assert problem["type"] == "/problems/not-found"
    told = await client.http.get(problem["type"], headers={"Authorization": ""})
    assert told.text.startswith("404 Not found\n")
    for ref in _refs(document):
        kind, name = ref.removeprefix("#/components/").split("/")
        assert name in document["components"][kind], ref


def _check_names_and_examples(document: dict[str, Any]) -> None:
    """Operations have names of which generators make functions, and examples that are valid."""
    operations = [each for item in document["paths"].values() for each in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in names)
    assert {*BODIES, *ANSWERS} <= set(names)
    for operation in operations:
        contents = [
            content
            for answer in (operation.get("requestBody", {}), *operation["responses"].values())
            for media, content in answer.get("content", {}).items()
            if "json" in media
        ]
        if "application/json" in operation.get("requestBody", {}).get("content", {}):
            assert operation["operationId"] in {*BODIES, "import_event_types"}
        for content in contents:
            if "example" in content:
                schema = {"components": document["components"]} | content["schema"]
                errors = Draft202012Validator(schema).iter_errors(content["example"])
                assert not [error.message for error in errors], operation["operationId"]


async def test_nothing_is_open_without_a_credential_but_what_is_meant_to_be(
    start: Start, connect: Start
) -> None:
    gateway: Running = await start({"auth": {"failed_logins": {"limit": 10_000}}})
    client: Client = await connect(gateway)
    api = gateway.gateway.api
    without = {"Authorization": ""}

    async def opened() -> set[tuple[str, str]]:
        answered = set()
        for method, path in operations_of(api.application.app):
            url = re.sub(r"\{\w+\}", "docs.js", path)
            for headers in (without, {"Authorization": "Bearer wrong"}):
                answer = await client.http.request(method, url, headers=headers, content=b"{")
                if answer.status_code != 401:
                    answered.add((method, path))
                else:
                    assert "www-authenticate" in answer.headers, path
        return answered

    # The handshake of a WebSocket is not a route: without an upgrade the path says so.
    assert await opened() == OPEN | {("GET", "/v1/ws")}
    settings: tuple[tuple[Literal["public", "off"], set[tuple[str, str]]], ...] = (
        ("public", {("GET", "/openapi.json")}),
        ("off", PAGE),
    )
    for docs, further in settings:
        api.state.docs = docs
        assert await opened() == OPEN | {("GET", "/v1/ws")} | further
    for path in ("/openapi.json", "/docs", "/docs/docs.js"):
        assert (await client.http.get(path)).status_code == 404


async def test_allow_lists_all_methods_of_a_path(client: Client) -> None:
    document = (await client.http.get("/openapi.json")).json()
    for path, item in document["paths"].items():
        url = re.sub(r"\{\w+\}", "1", path)
        answer = await client.http.request("TRACE", url)
        assert answer.status_code == 405, (path, answer.text)
        methods = {method.upper() for method in item}
        allowed = set(answer.headers["allow"].split(", "))
        assert methods | ({"HEAD"} if "GET" in methods else set()) <= allowed, path
    answer = await client.http.options("/v1/events")
    assert answer.headers["allow"] == "GET, OPTIONS, POST"


async def test_the_page_runs_nothing_from_elsewhere(client: Client) -> None:
    page = await client.http.get("/docs")
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'"):
        assert directive in page.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//|<script>|style=", page.text)
    for name in re.findall(r"(?:src|href)=\"docs/([^\"]+)\"", page.text):
        asset = await client.http.get(f"/docs/{name}")
        assert asset.status_code == 200, name
        assert asset.headers["x-content-type-options"] == "nosniff"
    assert (await client.http.get("/docs/../LICENSE")).status_code == 404
