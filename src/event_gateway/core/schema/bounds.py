"""Limits of JSON Schemas: a schema must be local, in draft 2020-12, and cheap to check.

The validator takes linear time for most keywords, but not for all: references to shared parts
multiply, a pattern costs by its positions, and a schema under ``items`` costs for each item. So the
largest cost of one value is computed when a schema is registered. Rules: JSON Schema 2020-12, Core
8 (identifiers and references), 10 and 11 (applicators).
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from event_gateway.core.errors import InvalidDefinition

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_CHAIN = 128  # nested schemas, with references followed
MAX_SUBSCHEMAS = 10_000
MAX_PATTERNS = 50_000  # the cost of compiling all patterns, in checks
MAX_LOAD = 10_000  # the largest cost of one value, in checks of some 10 ns each
DRAFT = "https://json-schema.org/draft/2020-12/schema"

# The keywords that hold schemas:
LISTS = ("allOf", "anyOf", "oneOf")  # a list of schemas for the same value
SAME = ("not", "if", "then", "else")  # a schema for the same value
EACH = (  # a schema for each item or member, or for a part of the value
    "items", "contains", "additionalProperties", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
)  # fmt: skip
MAPS = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")  # by name
MAX_DIGITS = 20  # of a count in a regular expression
_TOO_MANY = 1_000_000  # positions; more are not counted


def token(text: object) -> str:
    """A part of a JSON Pointer (RFC 6901)."""
    return str(text).replace("~", "~0").replace("/", "~1")


class Subschemas:
    """All subschemas of a schema by JSON Pointer (``nodes``), and its anchors by name.

    Raises InvalidDefinition, with the pointer, if the schema is outside the limits.
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
                self._check_node(pointer, node)
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
        """The pointer of the schema that a reference names. Raises KeyError."""
        fragment = unquote(reference.removeprefix("#"))
        pointer = fragment if fragment[:1] in ("", "/") else self.anchors[fragment]
        if pointer not in self.nodes:
            raise KeyError(reference)
        return pointer

    def load(self) -> int:
        """The largest cost of one value, in checks.

        A recursive schema is counted once, since the validator caches its result for each value.
        Raises InvalidDefinition if the cost is more than MAX_LOAD.
        """
        loads: dict[str, int | None] = {}
        depth = 0

        def load_of(pointer: str) -> int:
            nonlocal depth
            if pointer in loads:
                return loads[pointer] or 1  # None: it is being counted further up
            if depth == MAX_CHAIN:
                raise InvalidDefinition(_key(pointer), f"is more than {MAX_CHAIN} references deep")
            loads[pointer] = None
            depth += 1
            loads[pointer] = total = self._load_at(pointer, load_of)
            depth -= 1
            if total > MAX_LOAD:
                raise InvalidDefinition(
                    _key(pointer),
                    f"costs more than {MAX_LOAD} checks for a single value: too many alternatives, "
                    "patterns or references on top of each other",
                )
            return total

        return load_of("")

    def _load_at(self, pointer: str, load_of: Callable[[str], int]) -> int:
        node = self.nodes[pointer]
        if not isinstance(node, dict):
            return 1
        total = 1 + len(node.get("enum", ())) // 8 + _pattern_load(node.get("pattern"))
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in node:
                total += load_of(self.target(node[keyword]))
        for keyword in LISTS:
            for at in range(len(node.get(keyword, ()))):
                total += load_of(f"{pointer}/{keyword}/{at}")
        for keyword in (*SAME, *EACH):
            if f"{pointer}/{keyword}" in self.nodes and keyword != "contentSchema":
                total += load_of(f"{pointer}/{keyword}")
        for name in node.get("dependentSchemas", ()):
            total += load_of(f"{pointer}/dependentSchemas/{token(name)}")
        for pattern in node.get("patternProperties", ()):
            total += _pattern_load(pattern)
            total += load_of(f"{pointer}/patternProperties/{token(pattern)}")
        # A value is checked by only one of these: they are for different names or positions.
        names, count = node.get("properties", ()), len(node.get("prefixItems", ()))
        exclusive = [load_of(f"{pointer}/properties/{token(name)}") for name in names]
        exclusive += [load_of(f"{pointer}/prefixItems/{at}") for at in range(count)]
        return total + max(exclusive, default=0)

    def _check_node(self, pointer: str, node: dict[str, Any]) -> None:
        draft = node.get("$schema", DRAFT)
        if not isinstance(draft, str) or draft.removesuffix("#") != DRAFT:
            raise InvalidDefinition(_key(f"{pointer}/$schema"), f"must be {DRAFT}, or be left out")
        if "$id" in node and pointer:
            raise InvalidDefinition(
                _key(f"{pointer}/$id"),
                "only the whole schema may have an $id: refer to parts of it by #/$defs/NAME",
            )
        for keyword in ("$vocabulary", "$recursiveRef", "$recursiveAnchor"):
            if keyword in node:
                raise InvalidDefinition(
                    _key(f"{pointer}/{keyword}"), "is not supported in an event's schema"
                )
        for keyword in ("$anchor", "$dynamicAnchor"):
            if (name := node.get(keyword)) is None:
                continue
            if self.anchors.setdefault(str(name), pointer) != pointer:
                raise InvalidDefinition(_key(f"{pointer}/{keyword}"), f"{name!r} occurs twice")

    def _check_ref(self, pointer: str, reference: Any) -> None:
        if not isinstance(reference, str):
            raise InvalidDefinition(_key(pointer), "must be a string")
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
                _key(pointer), f"{reference[:200]!r} names no schema within this one"
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
        for at, schema in enumerate(inner):
            yield from _subschemas(schema, f"{pointer}/{keyword}/{at}")
    for keyword in (*SAME, *EACH):
        if keyword in node:
            yield from _subschemas(node[keyword], f"{pointer}/{keyword}")
    for keyword in MAPS:
        inner = node.get(keyword, {})
        if not isinstance(inner, dict):
            raise InvalidDefinition(_key(f"{pointer}/{keyword}"), "must be an object of schemas")
        for name, schema in inner.items():
            yield from _subschemas(schema, f"{pointer}/{keyword}/{token(name)}")


def _check_values(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise InvalidDefinition("schema", f"is nested deeper than {MAX_DEPTH}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidDefinition("schema", "contains a number that JSON does not have")
    if isinstance(value, dict):
        for member in value.values():
            _check_values(member, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, depth + 1)


def _pattern_load(pattern: Any) -> int:
    if not isinstance(pattern, str):
        return 0
    # A Unicode class, such as \p{L}, compiles to a program some hundred times larger than others.
    factor = 100 if re.search(r"\\[pP]", pattern) else 1
    return 1 + _positions(pattern) * factor // 4


def _positions(pattern: str) -> int:
    """The number of positions in a regular expression with its counted repetitions expanded: the
    largest cost of each character of a text in an engine without backtracking."""
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
            written = [part.strip() for part in pattern[at:end].split(",")]
            digits = [part for part in written if part.isdecimal()]  # no name, as in \p{Greek}
            if any(len(part) > MAX_DIGITS for part in digits):
                return _TOO_MANY
            counts = [int(part) for part in digits]
            total += last * (max(counts, default=1) - 1)
            last *= max(counts, default=1)
            at = end + 1 if end >= 0 else at
            if min(total, last) < 0 or max(total, last) > _TOO_MANY:
                return _TOO_MANY
            continue
        elif character in "*+?|^$":
            continue
        else:
            last = 1
        total += last
    return total + sum(open_groups)


def _class_end(pattern: str, at: int) -> int:
    """The index after a character class, which may contain others."""
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
