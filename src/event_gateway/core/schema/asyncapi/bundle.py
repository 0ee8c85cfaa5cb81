"""A schema out of an AsyncAPI document, as one that stands alone in draft 2020-12.

What it refers to elsewhere in the document comes along under ``$defs``. AsyncAPI's own schemas are
a superset of draft 07; what that says in another way is said in the new one.
"""

import re
from typing import Any
from urllib.parse import quote

from event_gateway.core.schema.asyncapi.document import Document, Skip, mapping
from event_gateway.core.schema.bounds import EACH, LISTS, MAPS, SAME

_ONE = frozenset((*SAME, *EACH))
_MANY = frozenset((*LISTS, "prefixItems"))
_NAMED = frozenset(MAPS)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


class Budget:
    """How many values may still be copied out of a document, which may refer to a part of it again
    and again."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self) -> None:
        """Raises Skip where it is used up."""
        self.left -= 1
        if self.left < 0:
            raise Skip("refers to more than can be copied out of one document")


def bundled(document: Document, schema: Any, pointer: str, budget: Budget, *, former: bool) -> Any:
    """The schema at a pointer. ``former``: it is of draft 07, or AsyncAPI's own.

    Raises Skip.
    """
    bundle = _Bundle(document, schema, pointer, budget, former=former)
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
        self, document: Document, schema: Any, root: str, budget: Budget, *, former: bool
    ) -> None:
        whole = schema if isinstance(schema, dict) else {}
        self._document = document
        self._root = root
        self._budget = budget
        self._former = former
        self._alone = not former and "$id" in whole  # its references are within itself
        self._taken = set(mapping(whole.get("$defs")))
        self._names: dict[str, str] = {}
        self.pending: list[tuple[str, str]] = []

    def copy(self, node: Any) -> Any:
        self._budget.spend()
        if not isinstance(node, dict):
            return node
        if self._former:
            if "$ref" in node:  # draft 07 does not look at what stands beside it
                return {"$ref": self._reference(node["$ref"])}
            node = _modern(node)
        out: dict[str, Any] = {}
        for key, value in node.items():
            if key in ("$ref", "$dynamicRef"):
                out[key] = self._reference(value)
            elif key in _ONE:
                out[key] = self.copy(value)
            elif key in _MANY and isinstance(value, list):
                out[key] = [self.copy(one) for one in value]
            elif key in _NAMED and isinstance(value, dict):
                out[key] = {name: self.copy(one) for name, one in value.items()}
            else:
                out[key] = value
        return out

    def _reference(self, reference: Any) -> Any:
        if not isinstance(reference, str):
            return reference
        if reference.startswith("#") and not reference.startswith("#/") and reference != "#":
            return reference  # an anchor, which comes along with what it is in
        try:
            target = self._document.at(reference)[1]
        except Skip:
            if self._alone:
                return reference
            raise
        if target == self._root or target.startswith(f"{self._root}/"):
            within = target[len(self._root) :]
            said = reference[1:].startswith(self._root)
            return f"#{reference[1 + len(self._root) :]}" if said else f"#{quote(within)}"
        if self._alone:
            return reference
        name = self._names.get(target)
        if name is None:
            wanted = _NOT_IN_NAME.sub("_", target.rpartition("/")[2])[:64] or "schema"
            name, number = wanted, 1
            while name in self._taken:
                number += 1
                name = f"{wanted}_{number}"
            self._taken.add(name)
            self._names[target] = name
            self.pending.append((target, name))
        return f"#/$defs/{name}"


def _modern(node: dict[str, Any]) -> dict[str, Any]:
    """What draft 07 and before say, in the words of 2020-12."""
    out = dict(node)
    for key in ("$schema", "$id"):
        said = out.pop(key, None)
        if key == "$id" and isinstance(said, str) and said.startswith("#"):
            out["$anchor"] = said[1:]
    if isinstance(out.get("items"), list):
        out["prefixItems"] = out.pop("items")
        if "additionalItems" in out:
            out["items"] = out.pop("additionalItems")
    else:
        out.pop("additionalItems", None)
    for exclusive, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        # Draft 04.
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
