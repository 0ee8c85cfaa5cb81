"""Merges traits into a message, as the version of the document says.

Both use JSON Merge Patch (RFC 7396), trait by trait in their order. In AsyncAPI 2 ("Message
Object") the traits are applied to the message, so a trait wins over the message and over earlier
traits. In 3.0 ("Traits Merge Mechanism") a property of a trait never replaces the message's own.
"""

from typing import Any

from event_gateway.core.schema.asyncapi.bundle import CopyBudget
from event_gateway.core.schema.asyncapi.document import Document, Skip, items, mapping

_NOT_IN_TRAITS = ("payload", "traits", "headers")


def with_traits(document: Document, message: dict[str, Any], budget: CopyBudget) -> dict[str, Any]:
    """A message merged with its traits. Its headers and those of the traits become one schema, in
    which the headers that win come first. Raises Skip if the budget of members is used up."""
    traits = []
    for value in items(message.get("traits")):
        try:
            traits.append(mapping(document.follow(value, "")[0]))
        except Skip:
            continue  # the trait of CloudEvents is in another document, and describes no type
    if not traits:
        return message
    patches = [{k: v for k, v in trait.items() if k not in _NOT_IN_TRAITS} for trait in traits]
    of_traits = [trait["headers"] for trait in reversed(traits) if "headers" in trait]
    own = [message["headers"]] if "headers" in message else []
    if document.major == "2":
        merged, headers = message, [*of_traits, *own]
    else:
        merged, headers = {}, [*own, *of_traits]
        patches.append(message)
    for patch in patches:
        merged = _patched(merged, patch, budget)
    return merged | {"headers": {"allOf": headers}} if headers else merged


def _patched(target: dict[str, Any], patch: dict[str, Any], budget: CopyBudget) -> dict[str, Any]:
    """A copy of an object with a patch applied; what they do not share is not copied."""
    budget.spend(len(target) + len(patch))
    out = dict(target)
    for key, value in patch.items():
        former = out.get(key)
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(former, dict):
            out[key] = _patched(former, value, budget)
        else:
            out[key] = value
    return out
