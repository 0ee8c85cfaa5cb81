"""Takes the faulty values out of a document, so that the rest of it can be checked."""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
MAX_ROUNDS = 8  # a value may only be missed once another one was left out


def without_faults(
    model: type[Model], value: Any, missing: Mapping[str, Any] | None = None
) -> Model | None:
    """The model of a value without its faults; None where nothing is left of it.

    What is wrong takes its default. Of a list with a fault nothing is kept, as the positions of the
    others would change. ``missing``: what stands for required keys that are missing or wrong.
    """
    if not isinstance(value, dict):
        return None
    value = copy.deepcopy(value)
    for _ in range(MAX_ROUNDS):
        try:
            return model.model_validate(value)
        except ValidationError as error:
            wrong = error.errors(include_url=False, include_input=False, include_context=False)
        for holder, key in [_place(value, entry["loc"], missing or {}) for entry in wrong]:
            if holder is value and missing and key in missing:
                value[key] = missing[key]
            else:
                holder.pop(key, None)
    return None


def _place(
    value: dict[str, Any], loc: tuple[int | str, ...], missing: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The mapping and the key of what has a fault at a location: the mapping that lacks it where
    it is not there, and the list that holds it."""
    if loc and loc[0] in missing:
        return value, str(loc[0])
    at: Any = value
    holder, key = value, ""
    for part in loc:
        if isinstance(at, dict) and part in at:
            holder, key = at, str(part)
            at = at[part]
        elif isinstance(part, int):
            break
        # else: it is missing, or the name of a branch of a union
    return holder, key
