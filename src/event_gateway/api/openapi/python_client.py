"""Generates the models and the methods of :mod:`event_gateway.client` from the OpenAPI document.

``make docs`` writes them and lets ruff format them; a test holds them against the routes.
"""

import importlib
import keyword
import pkgutil
import re
import textwrap
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from event_gateway.api import routes
from event_gateway.api.live import sse, websocket
from event_gateway.api.openapi.document import openapi_document
from event_gateway.api.routes.signing_keys import PATH as SIGNING_KEYS

FOLDER = Path(__file__).parents[2] / "client"
# Their methods are written by hand, or they are not for programs.
NOT_GENERATED = {
    "export_audit_log", "follow_audit_log", "follow_stream", "open_websocket", "publish_events",
    "show_events_options",
}  # fmt: skip
_HEAD = '''"""{what}

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_REF = "#/components/schemas/"
_WIDTH = 92


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
    """The text of each generated file, by its name."""
    models = _Models(document["components"]["schemas"])
    operations = sorted(
        (
            _Operation(method, path, operation, models)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if operation["operationId"] not in NOT_GENERATED
        ),
        key=lambda operation: operation.name,
    )
    return {
        "models.py": models.source(),
        "operations.py": _class(operations, models, ""),
        "async_operations.py": _class(operations, models, "async "),
    }


def write() -> None:
    """Writes the files."""
    for name, text in sources(offline_document()).items():
        (FOLDER / name).write_text(text)


class _Models:
    """The models of the schemas."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self.names: set[str] = set()  # of all models, for the imports

    def type_of(self, schema: dict[str, Any]) -> str:
        """The Python type of the values that fit a schema."""
        if "$ref" in schema:
            return self._named(schema["$ref"].removeprefix(_REF))
        for options in (schema.get("anyOf"), schema.get("oneOf")):
            if options:
                return " | ".join(dict.fromkeys(map(self.type_of, options)))
        if "enum" in schema or "const" in schema:
            values = schema.get("enum", [schema.get("const")])
            return f"Literal[{', '.join(map(repr, values))}]"
        kind = schema.get("type")
        if isinstance(kind, list):
            return " | ".join(self.type_of({**schema, "type": each}) for each in kind)
        if kind == "array":
            items = schema.get("items")
            return f"list[{self.type_of(items) if items else 'Any'}]"
        if kind == "object":
            values = schema.get("additionalProperties")
            inner = self.type_of(values) if isinstance(values, dict) and values else "Any"
            return f"dict[str, {inner}]"
        return _PLAIN.get(str(kind), "Any")

    def source(self) -> str:
        """The text of ``models.py``."""
        schemas = {_name(name): schema for name, schema in self._schemas.items()
                   if not _is_page(name) and name != "Problem"}  # fmt: skip
        parts = [self._model(name, schema) for name, schema in sorted(schemas.items())]
        head = _HEAD.format(what="The types of bodies and answers.")
        return head + textwrap.dedent('''\
            from __future__ import annotations

            from typing import Any, Generic, Literal, NotRequired, TypedDict, TypeVar

            Item = TypeVar("Item")


            class Page(TypedDict, Generic[Item]):
                """A page of a list. ``next`` is the cursor of the page that follows, None after the
                last."""

                items: list[Item]
                next: str | None
            ''') + "\n\n".join(["", *parts])  # fmt: skip

    def _named(self, name: str) -> str:
        if _is_page(name):
            self.names.add("Page")
            return f"Page[{self.type_of(self._schemas[name]['properties']['items']['items'])}]"
        self.names.add(_name(name))
        return _name(name)

    def _model(self, name: str, schema: dict[str, Any]) -> str:
        if "properties" not in schema:
            return f"{name} = {self.type_of(schema)}\n"
        required = set(schema.get("required", ()))
        members = {
            member: self.type_of(each) if member in required
            else f"NotRequired[{self.type_of(each)}]"
            for member, each in schema["properties"].items()
        }  # fmt: skip
        # Names that are words of Python need the other notation.
        words = {member: kind for member, kind in members.items() if keyword.iskeyword(member)}
        base, before = "TypedDict", ""
        if words:
            base = f"_{name}"
            listed = ", ".join(f"{member!r}: {kind!r}" for member, kind in words.items())
            before = f"{base} = TypedDict({base!r}, {{{listed}}})\n\n\n"
        lines = [f"    {member}: {kind}" for member, kind in members.items() if member not in words]
        about = _docstring(schema.get("description") or f"{name}.", "    ")
        return f"{before}class {name}({base}):\n{about}\n\n" + "\n".join(lines) + "\n"


class _Operation:
    """An operation, as a method."""

    def __init__(self, method: str, path: str, operation: dict[str, Any], models: _Models) -> None:
        self.name: str = operation["operationId"]
        self._method = method.upper()
        self._about = operation.get("description") or operation.get("summary", "")
        read = method == "get"
        self._parameters = [
            (each["name"], each["in"], models.type_of(each.get("schema", {})))
            for each in operation.get("parameters", ())
            if not (each["in"] == "header" and read)
        ]
        self._path = re.sub(r"\{(\w+)\}", lambda match: f"{{requests.in_path({match[1]})}}", path)
        body = operation.get("requestBody")
        self._body = body and " | ".join(dict.fromkeys(
            models.type_of(content["schema"]) for content in body["content"].values()
        ))  # fmt: skip
        self._needs_body = bool(body and body.get("required"))
        status = min(operation["responses"])
        content = operation["responses"][status].get("content", {})
        schema = content.get("application/json", {}).get("schema")
        self.answer = models.type_of(schema) if schema else "str" if content else "None"

    def source(self, prefix: str) -> str:
        """The method; ``prefix``: ``async`` or nothing."""
        positional = [f"{_argument(name)}: {kind}"
                      for name, where, kind in self._parameters if where == "path"]  # fmt: skip
        if self._body:
            body = self._body if self._needs_body else f"{_optional(self._body)} = None"
            positional.append(f"body: {body}")
        named = [f"{_argument(name)}: {_optional(kind)} = None"
                 for name, where, kind in self._parameters if where != "path"]  # fmt: skip
        arguments = ", ".join(["self", *positional, *(["*", *named] if named else [])])
        call = [repr(self._method), f'f"{self._path}"' if "{" in self._path else repr(self._path)]
        if self._body:
            call.append("body")
        for where, keyword_name in (("query", "query"), ("header", "headers")):
            pairs = [f"{name!r}: {_argument(name)}"
                     for name, place, _ in self._parameters if place == where]  # fmt: skip
            if pairs:
                call.append(f"{keyword_name}={{{', '.join(pairs)}}}")
        wait = "await " if prefix else ""
        done = f"{wait}self._call({', '.join(call)})"
        answer = f"return cast({self.answer!r}, {done})" if self.answer != "None" else done
        return (
            f"    {prefix}def {self.name}({arguments}) -> {self.answer}:\n"
            f"{_docstring(self._about, '        ')}\n        {answer}\n"
        )


def _class(operations: list[_Operation], models: _Models, prefix: str) -> str:
    what = "The operations of the API as coroutines." if prefix else "The operations of the API."
    name = "AsyncOperations" if prefix else "Operations"
    methods = "\n".join(operation.source(prefix) for operation in operations)
    used = sorted(
        (each for each in models.names if re.search(rf"\b{each}\b", methods)), key=str.lower
    )
    typing = ["TYPE_CHECKING", "Any", *(["Literal"] if "Literal[" in methods else []), "cast"]
    return _HEAD.format(what=what) + textwrap.dedent(f'''\
        from __future__ import annotations

        from collections.abc import Mapping
        from typing import {", ".join(typing)}

        from event_gateway.client import requests

        if TYPE_CHECKING:
            from event_gateway.client.models import {", ".join(used)}


        class {name}:
            """A method for each operation, named after its id. A client has the method that sends
            the requests."""

            {prefix}def _call(
                self, method: str, path: str, body: Any = None, *,
                query: Mapping[str, Any] | None = None,
                headers: Mapping[str, str | None] | None = None,
            ) -> Any:
                raise NotImplementedError

        ''') + methods  # fmt: skip


def _name(name: str) -> str:
    return "DeliveryStatus" if name == "Status" else name


def _is_page(name: str) -> bool:
    return name.endswith("Page") and name != "SubscriptionPage"


def _argument(name: str) -> str:
    name = name.replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _optional(kind: str) -> str:
    return kind if "None" in kind.split(" | ") else f"{kind} | None"


def _docstring(text: str, indent: str) -> str:
    """The first paragraph of a description, as a docstring."""
    first = " ".join(text.replace("\\", "").split("\n\n")[0].split()).replace("``", "`")
    lines = textwrap.wrap(first, _WIDTH - len(indent)) or [""]
    return indent + '"""' + f"\n{indent}".join(lines) + '"""'


if __name__ == "__main__":
    write()
