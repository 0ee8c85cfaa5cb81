"""Problems of a configuration, each shown as a line with file, line, key and reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from event_gateway.core.text.suggestion import suggestion

if TYPE_CHECKING:
    from pydantic import BaseModel

KeyPath = tuple[str, ...]

MAX_PROBLEMS = 100  # that are shown of one file or body
MAX_SUGGESTIONS = 10  # unknown keys of one file or body for which a similar key is looked up
MAX_KEY, MAX_REASON = 200, 500  # characters that are shown of each

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
    "too_long": "must have at most {max_length} items",
    "string_too_long": "must have at most {max_length} characters",
}


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """A problem and its location. ``line`` is 0 where there are no lines (the environment)."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key, reason = shortened(self.key, self.reason)
        return f"{where}: {key}: {reason}" if key else f"{where}: {reason}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` has the first MAX_PROBLEMS reasons, and how
    many others there are."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        shown = list(problems[:MAX_PROBLEMS])
        if len(problems) > MAX_PROBLEMS:
            more = f"and {len(problems) - MAX_PROBLEMS} more mistakes"
            shown.append(ConfigProblem(problems[0].file, 0, "", more))
        super().__init__("\n".join(str(problem) for problem in shown))
        self.problems = shown


@dataclass(frozen=True, slots=True)
class KeyLocations:
    """The location of each key of a configuration: its line, or its environment variable.

    ``differences``: warnings of values that YAML 1.1 reads differently.
    """

    file: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    variables: Mapping[KeyPath, str] = field(default_factory=dict)
    differences: Sequence[ConfigProblem] = ()

    def problem(self, key: str, reason: str) -> ConfigProblem:
        """A problem of a key, given as ``webhooks.w.events[0]``."""
        path = tuple(key.replace("[", ".").replace("]", "").split(".")) if key else ()
        return self._at(path, key, reason)

    def from_pydantic(self, error: Any, *, suggest: bool) -> ConfigProblem:
        """The problem for an error of pydantic; ``suggest`` as for :func:`reason_of`."""
        parts = [part for part in error["loc"] if part not in ("[key]", *_BRANCHES)]
        path = tuple(str(part) for part in parts)
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
        return self._at(path, key.removeprefix("."), reason_of(error, path, suggest=suggest))

    def _at(self, path: KeyPath, key: str, reason: str) -> ConfigProblem:
        at = path
        while at:
            if at in self.variables:
                return ConfigProblem(self.variables[at], 0, key, reason)
            if at in self.lines:
                return ConfigProblem(self.file, self.lines[at], key, reason)
            at = at[:-1]
        return ConfigProblem(self.file, self.lines.get((), 0), key, reason)


def is_relevant(error: Any) -> bool:
    """Whether an error of pydantic concerns the type of a union that the user meant."""
    mapping = isinstance(error["input"], dict)
    return not (
        (error["type"] == "bool_type" and error["loc"][-1] == "bool" and mapping)
        or (error["type"] == "model_type" and error["loc"][-1] == "OrderedModel")
    )


def shortened(key: str, reason: str) -> tuple[str, str]:
    """A key and a reason as they are shown: one line each, and not longer than it can be read."""
    return _shortened(key, MAX_KEY), _shortened(reason, MAX_REASON)


def _shortened(text: str, longest: int) -> str:
    text = text if text.isprintable() else text.encode("unicode_escape", "replace").decode()
    return text if len(text) <= longest else f"{text[:longest]}…"


def reason_of(error: Any, path: KeyPath, *, suggest: bool) -> str:
    """The text for an error of pydantic. ``suggest``: name a key similar to an unknown one."""
    if error["type"] == "extra_forbidden":
        known = _keys_at(path[:-1]) if suggest else []
        return f"unknown key{suggestion(path[-1], known)}"
    reason = _REASONS.get(error["type"])
    if reason is not None:
        return reason.format(**error.get("ctx", {}))
    return str(error["msg"]).removeprefix("Value error, ")


def _keys_at(path: KeyPath) -> list[str]:
    """The keys that are allowed below a path."""
    # Imported here: the commands import this module, and the models cost a quarter of a second.
    from event_gateway.config.model import Config

    model: type[BaseModel] = Config
    for part in path:
        field_info = model.model_fields.get(part)
        inner = _model_in(field_info.annotation) if field_info else None
        if inner is not None:
            model = inner
        # else: an id or an index, whose model is that of the field before it
    return list(model.model_fields)


def _model_in(annotation: Any) -> "type[BaseModel] | None":
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (model := _model_in(inner)) is not None:
            return model
    return None
