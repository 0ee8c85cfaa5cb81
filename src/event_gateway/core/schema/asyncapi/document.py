"""An AsyncAPI document, and the resolution of references within it."""

from typing import Any
from urllib.parse import unquote

from event_gateway.core.errors import InvalidDefinition

MAX_DEPTH = 128
MAX_HOPS = 32  # references that lead to references


class Skip(Exception):
    """A message from which no event type can be made; the text says why."""


class Document:
    """A document of version 2 or 3. Raises InvalidDefinition if it is not one."""

    def __init__(self, content: Any) -> None:
        if not isinstance(content, dict) or not isinstance(content.get("asyncapi"), str):
            raise InvalidDefinition("asyncapi", "is missing: this is not an AsyncAPI document")
        self.version: str = content["asyncapi"]
        self.major = self.version.partition(".")[0]
        if self.major not in ("2", "3"):
            raise InvalidDefinition(
                "asyncapi", f"{self.version[:16]!r} is not supported; versions 2 and 3 are"
            )
        _check_depth(content)
        self.content: dict[str, Any] = content

    def at(self, reference: str) -> tuple[Any, str]:
        """The value that a reference names, and its pointer. Raises Skip."""
        if not reference.startswith("#"):
            raise Skip(
                f"refers to {reference[:200]}, which is not in this document, and nothing is ever "
                "fetched: bundle it first"
            )
        pointer = unquote(reference[1:])
        value: Any = self.content
        for part in pointer.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and name in value:
                value = value[name]
            elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
                value = value[int(name)]
            else:
                raise Skip(f"refers to {reference[:200]}, which does not exist")
        return value, pointer

    def follow(self, value: Any, pointer: str) -> tuple[Any, str]:
        """The value, or the value that it refers to, and its pointer. Raises Skip."""
        for _ in range(MAX_HOPS):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value, pointer
            value, pointer = self.at(value["$ref"])
        raise Skip("has a circular reference, or one through too many others")


def mapping(value: Any) -> dict[str, Any]:
    """The value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """The value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """The value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def _check_depth(content: Any) -> None:
    level = [content]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return
    raise InvalidDefinition("", f"is nested deeper than {MAX_DEPTH}")
