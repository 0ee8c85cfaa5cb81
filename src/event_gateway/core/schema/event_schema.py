"""The schema of an event's data: compiled once, and checked for each event.

The validator decides whether data is valid, in bounded time (see
:mod:`event_gateway.core.schema.bounds`). Where the fault is, this module finds with further
checks, one level at a time: the validator's own report lists every alternative, which a few dozen
bytes of data can make take hours.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.bounds import EACH, LISTS, MAPS, SAME, Subschemas, token

if TYPE_CHECKING:
    import jsonschema_rs

MAX_WORK = 2**25  # checks for one event: the load of its schema times the bytes of its data
MAX_TEXT = 500  # characters of a violation's detail
MAX_PATH = 300  # characters of a violation's path, which is written into a header
MAX_LEVELS = 32  # searched for a violation
_SUBSCHEMAS = frozenset((*LISTS, *SAME, *EACH, *MAPS, "prefixItems"))
_NOT_ASSERTED = _SUBSCHEMAS | {"$ref", "$dynamicRef", "$id", "$anchor", "$dynamicAnchor"}
_ROOT = "urn:event-gateway:schema"
# Bytes of a compiled pattern: \p{L}{20} needs about this much.
_MAX_PATTERN = 1024 * 1024
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\ufffc]")


class Violation(msgspec.Struct, frozen=True):
    """A fault of an event's data: where (``path``, a JSON Pointer, RFC 6901), and why (``detail``,
    which contains nothing of the data)."""

    path: str
    detail: str


class EventSchema:
    """A compiled schema. Raises InvalidDefinition, with the pointer, if it cannot be used."""

    def __init__(self, schema: Any) -> None:
        import jsonschema_rs

        self._subschemas = Subschemas(schema)
        self.load = self._subschemas.load()
        try:
            self._root = _validator(schema)
        except (jsonschema_rs.ValidationError, ValueError) as error:
            raise InvalidDefinition(_key_of(error), _message_of(error)) from None
        self._schema = schema
        self._registry: jsonschema_rs.Registry | None = None
        self._parts: dict[str, jsonschema_rs.Validator] = {}

    def violation(self, value: Any, size: int) -> Violation | None:
        """The first fault of the data ``value``, which has ``size`` bytes; None if it is valid.

        Data that cannot be checked is not valid.
        """
        if self.load * size > MAX_WORK:
            return Violation("", f"data of {size} bytes is more than can be checked: with this "
                                 f"schema at most {MAX_WORK // self.load}")  # fmt: skip
        try:
            if self._root.is_valid(value):
                return None
            return self._locate(value, min(MAX_LEVELS, MAX_WORK // max(1, self.load * size)))
        except UnicodeEncodeError:
            return Violation("", "contains a code point that is not a character")
        except Exception as error:
            return Violation("", f"cannot be checked: {type(error).__name__}")
        except BaseException as error:  # a panic of the validator is not an Exception
            if type(error).__name__ != "PanicException":
                raise
            return Violation("", "cannot be checked: the validator failed")

    def _locate(self, value: Any, levels: int) -> Violation:
        """Goes down to the fault, at most ``levels`` deep: first the schema's own assertions, then
        its subschemas."""
        import jsonschema_rs

        pointer, path = "", ""
        while True:
            node = self._subschemas.nodes[pointer]
            if node is False:
                return _violation(path, "nothing is allowed here")
            asserted = {key: limit for key, limit in node.items() if key not in _NOT_ASSERTED}
            try:
                _validator(asserted).validate(value)
            except jsonschema_rs.ValidationError as error:
                within = "".join(f"/{token(part)}" for part in error.instance_path)
                return _violation(path + within, error.message)
            levels -= 1
            for inner, step, child in self._checks_below(pointer, node, value):
                if not self._part(inner).is_valid(child):
                    pointer, path, value = inner, path + step, child
                    break
            else:
                return _violation(path, self._describe(pointer, node, value))
            if levels <= 0:
                return _violation(path, "is not valid somewhere below")

    def _checks_below(
        self, pointer: str, node: dict[str, Any], value: Any
    ) -> Iterator[tuple[str, str, Any]]:
        """The checks of subschemas: the subschema's pointer, the step to the value, the value."""
        if isinstance(value, dict):
            yield from self._members(pointer, node, value)
        elif isinstance(value, list):
            first = len(node.get("prefixItems", ()))
            for at, child in enumerate(value):
                inner = f"prefixItems/{at}" if at < first else "items"
                if f"{pointer}/{inner}" in self._subschemas.nodes:
                    yield f"{pointer}/{inner}", f"/{at}", child
        for keyword in ("$ref", "$dynamicRef"):
            if keyword in node:
                yield self._subschemas.target(node[keyword]), "", value
        for at in range(len(node.get("allOf", ()))):
            yield f"{pointer}/allOf/{at}", "", value
        if "if" in node:
            branch = "then" if self._part(f"{pointer}/if").is_valid(value) else "else"
            if branch in node:
                yield f"{pointer}/{branch}", "", value
        if isinstance(value, dict):
            for name in node.get("dependentSchemas", ()):
                if name in value:
                    yield f"{pointer}/dependentSchemas/{token(name)}", "", value

    def _members(
        self, pointer: str, node: dict[str, Any], value: dict[str, Any]
    ) -> Iterator[tuple[str, str, Any]]:
        named = node.get("properties", {})
        patterns = [
            (f"{pointer}/patternProperties/{token(pattern)}", _validator({"pattern": pattern}))
            for pattern in node.get("patternProperties", ())
        ]
        for name, child in value.items():
            step = f"/{token(name)}"
            if name in named:
                yield f"{pointer}/properties/{token(name)}", step, child
            matching = [inner for inner, pattern in patterns if pattern.is_valid(name)]
            for inner in matching:
                yield inner, step, child
            if "additionalProperties" in node and name not in named and not matching:
                yield f"{pointer}/additionalProperties", step, child

    def _describe(self, pointer: str, node: dict[str, Any], value: Any) -> str:
        """The fault of a value that the schema here refuses, though no single subschema does."""
        for keyword in ("anyOf", "oneOf"):
            valid = [
                self._part(f"{pointer}/{keyword}/{at}").is_valid(value)
                for at in range(len(node.get(keyword, ())))
            ]
            if valid and not any(valid):
                return f"matches none of the {len(valid)} alternatives of {keyword}"
            if keyword == "oneOf" and sum(valid) > 1:
                return f"matches {sum(valid)} of the alternatives of oneOf, not one"
        if "not" in node and self._part(f"{pointer}/not").is_valid(value):
            return "is what the schema does not allow (not)"
        for keyword in ("contains", "propertyNames", "unevaluatedProperties", "unevaluatedItems"):
            if keyword in node:
                return f"is not valid under {keyword}"
        return "is not valid under the schema"

    def _part(self, pointer: str) -> "jsonschema_rs.Validator":
        """The validator of a subschema, built on first use."""
        import jsonschema_rs

        if not pointer:
            return self._root
        part = self._parts.get(pointer)
        if part is None:
            if self._registry is None:
                whole = self._schema | {"$id": _ROOT}
                self._registry = jsonschema_rs.Registry([(_ROOT, whole)])
            part = _validator({"$ref": f"{_ROOT}#{_quoted(pointer)}"}, self._registry)
            self._parts[pointer] = part
        return part


def _validator(
    schema: Any, registry: "jsonschema_rs.Registry | None" = None
) -> "jsonschema_rs.Validator":
    import jsonschema_rs

    # The linear engine, without look-around and back-references.
    patterns = jsonschema_rs.RegexOptions(size_limit=_MAX_PATTERN, dfa_size_limit=_MAX_PATTERN)
    return jsonschema_rs.Draft202012Validator(
        schema, registry=registry, pattern_options=patterns, validate_formats=True, offline=True,
        mask="the value",
    )  # fmt: skip


def _violation(path: str, detail: str) -> Violation:
    if len(path) > MAX_PATH:
        path, detail = "", f"{detail} (at a path that is longer than {MAX_PATH} characters)"
    return Violation(path, _UNPRINTABLE.sub("?", detail)[:MAX_TEXT])


def _key_of(error: Exception) -> str:
    parts = getattr(error, "instance_path", ())
    return "".join(["schema", *(f"/{token(part)}" for part in parts)])


def _message_of(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    if 'is not a "regex"' in message:
        message += (
            ", or one that would take too long: look-around and back-references are not supported"
        )
    return _UNPRINTABLE.sub("?", message)[:MAX_TEXT]


def _quoted(pointer: str) -> str:
    return quote(pointer, safe="/~!$&'()*+,;=:@")
