"""Copies a schema out of an AsyncAPI document, as a self-contained schema in draft 2020-12.

The parts of the document that it refers to are copied into ``$defs``. AsyncAPI's own schemas are a
superset of draft 07; keywords that have changed since are converted.
"""

import re
from typing import Any
from urllib.parse import quote

from event_gateway.core.schema.asyncapi.document import Document, Skip, mapping
from event_gateway.core.schema.bounds import EACH, LISTS, MAPS, SAME

_HOLDS_SCHEMA = frozenset((*SAME, *EACH))
_HOLDS_LIST = frozenset((*LISTS, "prefixItems"))
_HOLDS_MAP = frozenset(MAPS)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


class CopyBudget:
    """Limits how many values are copied out of a document, which may refer to a part many times."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, count: int = 1) -> None:
        """Counts values. Raises Skip if fewer were left."""
        self.left -= count
        if self.left < 0:
            raise Skip("refers to more than can be copied out of one document")


def bundle_schema(
    document: Document, schema: Any, pointer: str, budget: CopyBudget, *, draft_07: bool
) -> Any:
    """A self-contained copy of the schema at a pointer. ``draft_07``: it is in draft 07, or in
    AsyncAPI's own form.

    Raises Skip.
    """
    bundle = _Bundle(document, schema, pointer, budget, draft_07=draft_07)
    out = bundle.copy(schema)
    defs: dict[str, Any] = {}
    while bundle.pending:
        target, name = bundle.pending.pop()
        defs[name] = bundle.copy(document.at(f"#{target}")[0])
    if not defs:
        return out
    if not isinstance(out, dict):
        return out
    return out | {"$defs": mapping(out.get("$defs")) | defs}


class _Bundle:
    def __init__(
        self, document: Document, schema: Any, root: str, budget: CopyBudget, *, draft_07: bool
    ) -> None:
        whole = schema if isinstance(schema, dict) else {}
        self._document = document
        self._root = root
        self._budget = budget
        self._draft_07 = draft_07
        self._own_base = not draft_07 and "$id" in whole  # references are relative to the schema
        self._used_names = set(mapping(whole.get("$defs")))
        self._names: dict[str, str] = {}
        self.pending: list[tuple[str, str]] = []

    def copy(self, node: Any) -> Any:
        self._budget.spend()
        if not isinstance(node, dict):
            return node
        if self._draft_07:
            if "$ref" in node:  # draft 07 ignores the keywords beside $ref
                return {"$ref": self._reference(node["$ref"])}
            node = _to_2020_12(node)
        out: dict[str, Any] = {}
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef"):
                out[key] = self._reference(value)
            elif key in _HOLDS_SCHEMA:
                out[key] = self.copy(value)
            elif key in _HOLDS_LIST and isinstance(value, list):
                out[key] = [self.copy(schema) for schema in value]
            elif key in _HOLDS_MAP and isinstance(value, dict):
                out[key] = {name: self.copy(schema) for name, schema in value.items()}
            else:
                out[key] = value
        return out

    def _reference(self, reference: Any) -> Any:
        if not isinstance(reference, str):
            return reference
        if reference.startswith("#") and not reference.startswith("#/") and reference != "#":
            return reference  # an anchor, which is copied with the schema that has it
        try:
            target = self._document.at(reference)[1]
        except Skip:
            if self._own_base:
                return reference
            raise
        if target == self._root or target.startswith(f"{self._root}/"):
            within = target[len(self._root) :]
            unquoted = reference[1:].startswith(self._root)
            return f"#{reference[1 + len(self._root) :]}" if unquoted else f"#{quote(within)}"
        if self._own_base:
            return reference
        name = self._names.get(target)
        if name is None:
            preferred = _NOT_IN_NAME.sub("_", target.rpartition("/")[2])[:64] or "schema"
            name, number = preferred, 1
            while name in self._used_names:
                number += 1
                name = f"{preferred}_{number}"
            self._used_names.add(name)
            self._names[target] = name
            self.pending.append((target, name))
        return f"#/$defs/{name}"


def _to_2020_12(node: dict[str, Any]) -> dict[str, Any]:
    """Converts the keywords of a schema in draft 07 or earlier to draft 2020-12."""
    out = dict(node)
    for key in ("$schema", "$id"):
        value = out.pop(key, None)
        if key == "$id" and isinstance(value, str) and value.startswith("#"):
            out["$anchor"] = value[1:]
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
        if "additionalItems" in out:
            out["items"] = out.pop("additionalItems")
    else:
        out.pop("additionalItems", None)
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        # In draft 04 these were booleans.
        if isinstance(out.get(exclusive), bool) and out.pop(exclusive) and limit in out:
            out[exclusive] = out.pop(limit)
    dependencies = out.pop("dependencies", None)
    if isinstance(dependencies, dict):
        required = {k: v for k, v in dependencies.items() if isinstance(v, list)}
        schemas = {k: v for k, v in dependencies.items() if not isinstance(v, list)}
        if required:
            out["dependentRequired"] = required
        if schemas:
            out["dependentSchemas"] = schemas
    return out
