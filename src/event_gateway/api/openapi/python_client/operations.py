"""The modules of ``event_gateway.client.operations``: a method for each operation."""

import keyword
import re
from itertools import groupby
from typing import Any

from event_gateway.api.openapi.python_client.models import PACKAGE as MODELS
from event_gateway.api.openapi.python_client.models import Models
from event_gateway.api.openapi.python_client.text import docstring, head, module_of, named_in

PACKAGE = "event_gateway.client.operations"


class Operation:
    """An operation, as a method."""

    def __init__(self, method: str, path: str, operation: dict[str, Any], models: Models) -> None:
        self.name: str = operation["operationId"]
        (self.tag,) = operation["tags"]
        self._method = method.upper()
        self._about = operation.get("description") or operation.get("summary", "")
        read = method == "get"
        self._parameters = [
            (each["name"], each["in"], models.type_of(each.get("schema", {})))
            for each in operation.get("parameters", ())
            if not (each["in"] == "header" and read)
        ]
        self._path = re.sub(r"\{(\w+)\}", lambda match: f"{{in_path({match[1]})}}", path)
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
            f"{docstring(self._about, '        ')}\n        {answer}\n"
        )


def files(operations: list[Operation], models: Models) -> dict[str, str]:
    """The text of each file of the package, by its name."""
    ordered = sorted(operations, key=lambda operation: operation.tag)
    groups = {tag: list(group) for tag, group in groupby(ordered, lambda each: each.tag)}
    return {"__init__.py": _package(list(groups))} | {
        f"{module_of(tag)}.py": _module(tag, group, models) for tag, group in groups.items()
    }


def _package(tags: list[str]) -> str:
    imports = "".join(
        f"from {PACKAGE}.{module_of(tag)} import "
        f"{', '.join(sorted((_class('', tag), _class('Async', tag))))}\n"
        for tag in tags
    )
    classes = "\n\n".join(
        f"class {prefix}Operations({', '.join(_class(prefix, tag) for tag in tags)}):\n"
        f'    """A {what} for each operation of the API, named after its id."""\n'
        for prefix, what in (("", "method"), ("Async", "coroutine"))
    )
    about = "The operations of the API, in a module for each of its tags."
    return head(about) + f"{imports}\n\n{classes}"


def _module(tag: str, operations: list[Operation], models: Models) -> str:
    classes = "\n\n".join(
        f"class {_class(prefix, tag)}({prefix}Caller):\n"
        f'    """The operations of the tag `{tag}`{what}."""\n\n'
        + "\n".join(operation.source(word) for operation in operations)
        for prefix, word, what in (("", "", ""), ("Async", "async ", " as coroutines"))
    )
    words = ["Any", "Literal", "cast"]
    used = [word for word in words if named_in(classes, word)]
    imports = "".join(
        f"    from {MODELS}.{module} import {', '.join(names)}\n"
        for module, names in models.imports(classes).items()
    )
    if imports:
        used.insert(0, "TYPE_CHECKING")
    return head(f"The operations of the tag `{tag}`.") + "\n".join([
        "from __future__ import annotations\n",
        f"from typing import {', '.join(used)}\n",
        "from event_gateway.client.calls import AsyncCaller, Caller",
        "from event_gateway.client.requests import in_path\n" if "in_path(" in classes else "",
        f"if TYPE_CHECKING:\n{imports}\n" if imports else "",
        classes,
    ])  # fmt: skip


def _class(prefix: str, tag: str) -> str:
    return f"{prefix}{tag.title().replace(' ', '')}Operations"


def _argument(name: str) -> str:
    name = name.replace("-", "_").lower()
    return f"{name}_" if keyword.iskeyword(name) else name


def _optional(kind: str) -> str:
    return kind if "None" in kind.split(" | ") else f"{kind} | None"
