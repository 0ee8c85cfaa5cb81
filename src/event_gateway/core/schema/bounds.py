"""What a JSON Schema may be, before it is let near an event: local, of the draft that is known, and
cheap to check whatever the data.

The validator is linear in most of what a schema says, but not in all: references that share parts
unfold without end, a pattern costs by its positions, and what stands under ``items`` costs for each
item. So the worst that one value can cost is counted beforehand. Rules: JSON Schema 2020-12, Core 8
(identifiers and references), 10 and 11 (applicators).
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from event_gateway.core.errors import InvalidDefinition

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_CHAIN = 128  # schemas within each other, references followed
MAX_SUBSCHEMAS = 10_000
MAX_PATTERNS = 50_000  # what all patterns together may cost to be compiled, in the same unit
MAX_LOAD = 10_000  # checks that the data's worst value may cost; some 10 ns each
DRAFT = "https://json-schema.org/draft/2020-12/schema"

LISTS = ("allOf", "anyOf", "oneOf")  # of schemas, on the same value
SAME = ("not", "if", "then", "else")  # a schema on the same value
EACH = (
    "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
)  # fmt: skip
MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
_NO_BUDGET = 1_000_000


def token(text: object) -> str:
    """A part of a JSON Pointer (RFC 6901)."""
    return str(text).replace("~", "~0").replace("/", "~1")


class Places:
    """All schemas within a schema by JSON Pointer, and its anchors by name.

    Raises InvalidDefinition, with the place, where it is not of the kind that is taken.
    """

    def __init__(self, schema: Any) -> None:
        self.nodes: dict[str, Any] = {}
        patterns = 0
        self.anchors: dict[str, str] = {}
        _check_values(schema)
        for pointer, node in _subschemas(schema, ""):
            self.nodes[pointer] = node
            if len(self.nodes) > MAX_SUBSCHEMAS:
                raise InvalidDefinition("schema", f"has more than {MAX_SUBSCHEMAS} subschemas")
            if isinstance(node, dict):
                self._note(pointer, node)
                for pattern in (node.get("pattern"), *node.get("patternProperties", ())):
                    patterns += _pattern_load(pattern)
        if patterns > MAX_PATTERNS:
            raise InvalidDefinition("schema", "has too many patterns, or too large ones")
        for pointer, node in self.nodes.items():
            if isinstance(node, dict):
                for keyword in ("$ref", "$dynamicRef"):
                    if keyword in node:
                        self._check_ref(f"{pointer}/{keyword}", node[keyword])

    def target(self, reference: str) -> str:
        """The pointer that a reference leads to. Raises KeyError."""
        fragment = unquote(reference.removeprefix("#"))
        pointer = fragment if fragment[:1] in ("", "/") else self.anchors[fragment]
        if pointer not in self.nodes:
            raise KeyError(reference)
        return pointer

    def load(self) -> int:
        """How many checks the data's worst value may cost at most.

        A schema that leads back to itself is counted once: the validator remembers, for each value,
        what came of it. Raises InvalidDefinition where it is more than MAX_LOAD.
        """
        known: dict[str, int | None] = {}
        above = 0

        def of(pointer: str) -> int:
            nonlocal above
            if pointer in known:
                return known[pointer] or 1  # None: it leads back to where it is being counted
            if above == MAX_CHAIN:
                raise InvalidDefinition(_key(pointer), f"is more than {MAX_CHAIN} references deep")
            known[pointer] = None
            above += 1
            known[pointer] = total = self._own_load(pointer, of)
            above -= 1
            if total > MAX_LOAD:
                raise InvalidDefinition(
                    _key(pointer),
                    f"costs more than {MAX_LOAD} checks for a single value: too many alternatives, "
                    "patterns or references on top of each other",
                )
            return total

        return of("")

    def _own_load(self, pointer: str, of: Callable[[str], int]) -> int:
        node = self.nodes[pointer]
        if not isinstance(node, dict):
            return 1
        total = 1 + len(node.get("enum", ())) // 8 + _pattern_load(node.get("pattern"))
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in node:
                total += of(self.target(node[keyword]))
        for keyword in LISTS:
            for at in range(len(node.get(keyword, ()))):
                total += of(f"{pointer}/{keyword}/{at}")
        for keyword in (*SAME, *EACH):
            if f"{pointer}/{keyword}" in self.nodes and keyword != "contentSchema":
                total += of(f"{pointer}/{keyword}")
        for name in node.get("dependentSchemas", ()):
            total += of(f"{pointer}/dependentSchemas/{token(name)}")
        for pattern in node.get("patternProperties", ()):
            total += _pattern_load(pattern) + of(f"{pointer}/patternProperties/{token(pattern)}")
        # Of these a value meets one: they are for different names or positions.
        apart = [of(f"{pointer}/properties/{token(name)}") for name in node.get("properties", ())]
        apart += [
            of(f"{pointer}/prefixItems/{at}") for at in range(len(node.get("prefixItems", ())))
        ]
        return total + max(apart, default=0)

    def _note(self, pointer: str, node: dict[str, Any]) -> None:
        said = node.get("$schema", DRAFT)
        if not isinstance(said, str) or said.removesuffix("#") != DRAFT:
            raise InvalidDefinition(_key(f"{pointer}/$schema"), f"must be {DRAFT}, or not be there")
        if "$id" in node and pointer:
            raise InvalidDefinition(
                _key(f"{pointer}/$id"),
                "only the whole schema may have an $id: refer to parts of it by #/$defs/NAME",
            )
        for keyword in ("$vocabulary", "$recursiveRef", "$recursiveAnchor"):
            if keyword in node:
                raise InvalidDefinition(
                    _key(f"{pointer}/{keyword}"), "is not for an event's schema"
                )
        for keyword in ("$anchor", "$dynamicAnchor"):
            if (name := node.get(keyword)) is None:
                continue
            if self.anchors.setdefault(str(name), pointer) != pointer:
                raise InvalidDefinition(_key(f"{pointer}/{keyword}"), f"{name!r} stands twice")

    def _check_ref(self, pointer: str, reference: Any) -> None:
        if not isinstance(reference, str):
            raise InvalidDefinition(_key(pointer), "must be text")
        if not reference.startswith("#"):
            raise InvalidDefinition(
                _key(pointer),
                f"{reference[:200]!r} is not in this schema, and nothing is ever fetched: put what "
                "it refers to under $defs, and refer to it by #/$defs/NAME",
            )
        try:
            self.target(reference)
        except KeyError:
            raise InvalidDefinition(
                _key(pointer), f"{reference[:200]!r} leads to no schema in this one"
            ) from None


def _key(pointer: str) -> str:
    return f"schema{pointer}"


def _subschemas(node: Any, pointer: str) -> Iterator[tuple[str, Any]]:
    yield pointer, node
    if not isinstance(node, dict):
        if not isinstance(node, bool):
            raise InvalidDefinition(_key(pointer), "a schema is an object, true or false")
        return
    for keyword in (*LISTS, "prefixItems"):
        inner = node.get(keyword, [])
        if not isinstance(inner, list):
            raise InvalidDefinition(_key(f"{pointer}/{keyword}"), "must be a list of schemas")
        for at, one in enumerate(inner):
            yield from _subschemas(one, f"{pointer}/{keyword}/{at}")
    for keyword in (*SAME, *EACH):
        if keyword in node:
            yield from _subschemas(node[keyword], f"{pointer}/{keyword}")
    for keyword in MAPS:
        inner = node.get(keyword, {})
        if not isinstance(inner, dict):
            raise InvalidDefinition(_key(f"{pointer}/{keyword}"), "must be an object of schemas")
        for name, one in inner.items():
            yield from _subschemas(one, f"{pointer}/{keyword}/{token(name)}")


def _check_values(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise InvalidDefinition("schema", f"is nested deeper than {MAX_DEPTH}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidDefinition("schema", "holds a number that JSON does not have")
    if isinstance(value, dict):
        for one in value.values():
            _check_values(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check_values(one, depth + 1)


def _pattern_load(pattern: Any) -> int:
    if not isinstance(pattern, str):
        return 0
    # A class of Unicode, such as \p{L}, is compiled into some hundred times as much as others.
    classes = 100 if re.search(r"\\[pP]", pattern) else 1
    return 1 + _positions(pattern) * classes // 4


def _positions(pattern: str) -> int:
    """How many positions a regular expression has once its counted repetitions are written out:
    what each character of the text costs at worst in an engine that never goes back."""
    open_groups: list[int] = []
    total = last = at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\":
            at += 1
            last = 1
        elif character == "[":
            at = _class_end(pattern, at)
            last = 1
        elif character == "(":
            open_groups.append(total)
            total = last = 0
            continue
        elif character == ")" and open_groups:
            last, total = total, open_groups.pop()
        elif character == "{":
            end = pattern.find("}", at)
            counts = [int(n) for n in pattern[at:end].split(",") if n.strip().isdecimal()]
            total += last * (max(counts, default=1) - 1)
            last *= max(counts, default=1)
            at = end + 1 if end >= 0 else at
            if min(total, last) < 0 or max(total, last) > _NO_BUDGET:
                return _NO_BUDGET
            continue
        elif character in "*+?|^$":
            continue
        else:
            last = 1
        total += last
    return total + sum(open_groups)


def _class_end(pattern: str, at: int) -> int:
    """The place behind a character class, which may hold others."""
    depth, first = 1, True
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\":
            at += 1
        elif character == "[":
            depth += 1
        elif character == "]" and not first:
            depth -= 1
            if depth == 0:
                break
        first = first and character == "^"
    return at
