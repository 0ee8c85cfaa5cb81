"""The modules of ``event_gateway.client.models``: the types of bodies and answers."""

import json
import keyword
import re
import textwrap
from typing import Any

from event_gateway.api.openapi.python_client.text import docstring, head, module_of, named_in

PACKAGE = "event_gateway.client.models"
SHARED = "shared"  # the module of the models that operations of several tags use
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_REF = "#/components/schemas/"
_PAGE = '''\
Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """A page of a list. ``next`` is the cursor of the page that follows, None after the last.
    ``total``: how many items all pages have, or at most have, where ``total_is_estimate``; None
    where the caller may not learn it."""

    items: list[Item]
    next: str | None
    total: int | None
    total_is_estimate: bool
'''


class Models:
    """The models of an OpenAPI document's schemas, with the module of each."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._schemas: dict[str, Any] = document["components"]["schemas"]
        tags: dict[str, set[str]] = {}
        for item in document["paths"].values():
            for operation in item.values():
                for name in self._used_by(operation):
                    tags.setdefault(name, set()).update(operation["tags"])
        self.modules = {"Page": SHARED} | {
            _name(name): module_of(*tags[name]) if len(tags.get(name, ())) == 1 else SHARED
            for name in self._schemas
            if not _is_page(name) and name != "Problem"
        }

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

    def source(self, module: str) -> str:
        """The text of the models of a module, without its head and its imports."""
        schemas = {_name(name): schema for name, schema in self._schemas.items()}
        parts = [_PAGE] if module == SHARED else []
        parts += [
            self._model(name, schemas[name])
            for name, place in sorted(self.modules.items())
            if place == module and name != "Page"
        ]
        return "\n\n".join(parts)

    def imports(self, text: str, *, without: str = "") -> dict[str, list[str]]:
        """The names of models in a text by their modules, but for those of a module."""
        found: dict[str, list[str]] = {}
        for name in sorted(self.modules, key=str.lower):
            module = self.modules[name]
            if module != without and named_in(text, name):
                found.setdefault(module, []).append(name)
        return dict(sorted(found.items()))

    def _used_by(self, operation: dict[str, Any]) -> set[str]:
        found: set[str] = set()
        waiting = [operation]
        while waiting:
            names = set(re.findall(rf'"{_REF}([^"]+)"', json.dumps(waiting.pop())))
            waiting += [self._schemas[name] for name in names - found]
            found |= names
        return found

    def _named(self, name: str) -> str:
        if _is_page(name):
            return f"Page[{self.type_of(self._schemas[name]['properties']['items']['items'])}]"
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
        about = docstring(schema.get("description") or f"{name}.", "    ")
        return f"{before}class {name}({base}):\n{about}\n\n" + "\n".join(lines) + "\n"


def files(models: Models) -> dict[str, str]:
    """The text of each file of the package, by its name."""
    modules = sorted(set(models.modules.values()))
    return {"__init__.py": _package(modules)} | {
        f"{module}.py": _module(module, models) for module in modules
    }


def _package(modules: list[str]) -> str:
    about = "The types of bodies and answers, in a module for each tag of the API."
    return head(about) + "".join(f"from {PACKAGE}.{module} import *\n" for module in modules)


def _module(module: str, models: Models) -> str:
    text = models.source(module)
    words = ["Any", "Generic", "Literal", "NotRequired", "TypedDict", "TypeVar"]
    used = [word for word in words if named_in(text, word)]
    about = "of several tags" if module == SHARED else f"of the tag `{module.replace('_', ' ')}`"
    names = sorted(name for name, place in models.modules.items() if place == module)
    # Imported at run time too: the annotations of a TypedDict can be evaluated.
    imports = "".join(
        f"\nfrom {PACKAGE}.{place} import {', '.join(found)}"
        for place, found in models.imports(text, without=module).items()
    )
    return head(f"The types of bodies and answers {about}.") + textwrap.dedent(f"""\
        from __future__ import annotations

        from typing import {", ".join(used)}
        """) + f"{imports}\n__all__ = {names!r}\n\n\n{text}"  # fmt: skip


def _name(name: str) -> str:
    return "DeliveryStatus" if name == "Status" else name


def _is_page(name: str) -> bool:
    return name.endswith("Page") and name != "SubscriptionPage"
