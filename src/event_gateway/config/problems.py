"""Problems of a configuration, each shown as a line with file, line, key and reason."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from event_gateway.config.model import Config

KeyPath = tuple[str, ...]

_BRANCHES = ("bool", "OrderedModel")  # the types of a union, which pydantic adds to a location

# Texts for users by pydantic's error types.
_REASONS = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text; put it in quotes",
    "list_type": "must be a list",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} items",
    "string_too_long": "must have at most {max_length} characters",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem and its location. ``line`` is 0 where there are no lines (the environment)."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.reason}" if self.key else f"{where}: {self.reason}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` has all reasons."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Source:
    """The location of each key of a configuration: its line, or its environment variable."""

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    variables: Mapping[KeyPath, str] = field(default_factory=dict)

    def problem(self, key: str, reason: str) -> Problem:
        """A problem of a key, given as ``webhooks.w.events[0]``."""
        path = tuple(key.replace("[", ".").replace("]", "").split(".")) if key else ()
        return self._at(path, key, reason)

    def from_pydantic(self, error: Any) -> Problem:
        """The problem for an error of pydantic."""
        parts = [part for part in error["loc"] if part not in ("[key]", *_BRANCHES)]
        path = tuple(str(part) for part in parts)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
        return self._at(path, key.removeprefix("."), reason_of(error, path))

    def _at(self, path: KeyPath, key: str, reason: str) -> Problem:
        at = path
        while at:
            if at in self.variables:
                return Problem(self.variables[at], 0, key, reason)
            if at in self.lines:
                return Problem(self.file, self.lines[at], key, reason)
            at = at[:-1]
        return Problem(self.file, self.lines.get((), 0), key, reason)


def is_relevant(error: Any) -> bool:
    """Whether an error of pydantic concerns the type of a union that the user meant."""
    mapping = isinstance(error["input"], dict)
    return not (
        (error["type"] == "bool_type" and error["loc"][-1] == "bool" and mapping)
        or (error["type"] == "model_type" and error["loc"][-1] == "OrderedModel")
    )


def reason_of(error: Any, path: KeyPath) -> str:
    """The text for an error of pydantic, with a suggestion for an unknown key."""
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(path[-1], _keys_at(path[:-1]), n=1)
        return f"unknown key; did you mean {close[0]}?" if close else "unknown key"
    reason = _REASONS.get(error["type"])
    if reason is not None:
        return reason.format(**error.get("ctx", {}))
    return str(error["msg"]).removeprefix("Value error, ")


def _keys_at(path: KeyPath) -> list[str]:
    """The keys that are allowed below a path."""
    model: type[BaseModel] = Config
    for part in path:
        field_info = model.model_fields.get(part)
        inner = _model_in(field_info.annotation) if field_info else None
        if inner is not None:
            model = inner
        # else: an id or an index, whose model is that of the field before it
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        model = _model_in(inner)
        if model is not None:
            return model
    return None
