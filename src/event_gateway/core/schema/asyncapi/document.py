"""An AsyncAPI document: what its references lead to, within itself and nowhere else."""

from typing import Any
from urllib.parse import unquote

from event_gateway.core.errors import InvalidDefinition

MAX_DEPTH = 128
MAX_HOPS = 32  # references that lead to references


class Skip(Exception):
    """A message of which no event type can be made; the text says why."""


class Document:
    """A document of version 2 or 3. Raises InvalidDefinition where it is none."""

    def __init__(self, content: Any) -> None:
        if not isinstance(content, dict) or not isinstance(content.get("asyncapi"), str):
            raise InvalidDefinition("asyncapi", "is missing: this is no AsyncAPI document")
        self.version: str = content["asyncapi"]
        self.major = self.version.partition(".")[0]
        if self.major not in ("2", "3"):
            raise InvalidDefinition(
                "asyncapi", f"{self.version[:16]!r} is not understood: versions 2 and 3 are"
            )
        _check_depth(content)
        self.content: dict[str, Any] = content

    def at(self, reference: str) -> tuple[Any, str]:
        """What a reference leads to, and its own pointer. Raises Skip."""
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
                raise Skip(f"refers to {reference[:200]}, which is not there")
        return value, pointer

    def follow(self, value: Any, pointer: str) -> tuple[Any, str]:
        """A value, or what it refers to, and where that stands. Raises Skip."""
        for _ in range(MAX_HOPS):
            if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
                return value, pointer
            value, pointer = self.at(value["$ref"])
        raise Skip("refers round in a circle, or through too many others")


def mapping(value: Any) -> dict[str, Any]:
    """A value where it is an object; what is none counts as an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """A value where it is a list; what is none counts as an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """A value where it is text; what is none counts as empty."""
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
