"""Loading the configuration: file, environment, and every problem as one line."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from event_gateway.config.definitions import stream_of, webhook_of
from event_gateway.config.model import Config
from event_gateway.config.yaml_source import BadYaml, read
from event_gateway.core.errors import InvalidDefinition

MAX_BYTES = 1024 * 1024
ENV_PREFIX = "EVENT_GATEWAY__"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where; ``line`` 0: not in the file."""

    file: str
    line: int
    key: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.reason}" if self.key else f"{place}: {self.reason}"


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` holds all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def load(
    path: Path | None, environ: Mapping[str, str], *, transformations: frozenset[str]
) -> Config:
    """The configuration of a file (None: all defaults) and of ``EVENT_GATEWAY__…`` variables.

    Raises ConfigError.
    """
    name = str(path) if path else "environment"
    document: Any = {}
    lines: dict[tuple[str, ...], int] = {}
    problems: list[Problem] = []
    if path is not None:
        try:
            document, lines, wrong = read(_text(path), environ)
        except BadYaml as bad:
            raise ConfigError([Problem(name, bad.line, bad.key, bad.reason)]) from None
        problems += [Problem(name, bad.line, bad.key, bad.reason) for bad in wrong]
        if not isinstance(document, dict):
            raise ConfigError([Problem(name, 1, "", "the file must be a mapping of keys")])
    _override(document, environ)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        problems += [_problem(name, lines, one) for one in error.errors()]
        raise ConfigError(problems) from None
    problems += _definition_problems(config, name, lines, transformations)
    if problems:
        raise ConfigError(problems)
    return config


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadYaml(0, "", f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise BadYaml(0, "", f"is larger than {MAX_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise BadYaml(0, "", "is not UTF-8") from None


def _override(document: dict[str, Any], environ: Mapping[str, str]) -> None:
    """``EVENT_GATEWAY__SERVER__PORT=9000`` sets ``server.port``; values are read as YAML."""
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX):
            continue
        keys = variable.removeprefix(ENV_PREFIX).split("__")
        at = document
        for depth, key in enumerate(keys):
            # Ids keep their case: an existing key that differs only in case is the one meant.
            wanted = next((have for have in at if have.lower() == key.lower()), key.lower())
            if depth == len(keys) - 1:
                try:
                    at[wanted] = yaml.safe_load(text)
                except yaml.YAMLError:
                    at[wanted] = text
            else:
                if not isinstance(at.get(wanted), dict):
                    at[wanted] = {}
                at = at[wanted]


def _problem(name: str, lines: dict[tuple[str, ...], int], error: Any) -> Problem:
    path = tuple(str(part) for part in error["loc"])
    # A union names its members in the path; the file does not.
    path = tuple(part for part in path if not part.endswith("Model") and "[" not in part)
    reason = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        reason = "unknown key"
        close = difflib.get_close_matches(path[-1], _keys_at(path[:-1]), n=1)
        if close:
            reason += f"; did you mean {close[0]}?"
    elif error["type"] == "missing":
        reason = "is missing"
    return Problem(name, _line(lines, path), ".".join(path), reason)


def _line(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> int:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 0) if path else lines.get((), 0)


def _keys_at(path: tuple[str, ...]) -> list[str]:
    """The keys that may stand below a path; parts that name an item of a mapping or list count."""
    model: type[BaseModel] = Config
    for part in path:
        field = model.model_fields.get(part)
        found = _model_in(field.annotation) if field else None
        if found is not None:
            model = found
        # else: an id or a position, whose model is the one that the field before it named
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _definition_problems(
    config: Config,
    name: str,
    lines: dict[tuple[str, ...], int],
    transformations: frozenset[str],
) -> list[Problem]:
    problems = []

    def note(prefix: tuple[str, ...], error: InvalidDefinition) -> None:
        # The key is written as in error.key: ``events[0]`` is ``events``, ``0`` in the file.
        inner = tuple(error.key.replace("[", ".").replace("]", "").split("."))
        path = prefix if inner in (("id",), ("name",)) else (*prefix, *inner)
        key = ".".join(prefix) if path == prefix else f"{'.'.join(prefix)}.{error.key}"
        problems.append(Problem(name, _line(lines, path), key, error.detail))

    for webhook_id, model in config.webhooks.items():
        try:
            webhook_of(model, webhook_id, managed_by="file").check(transformations)
        except InvalidDefinition as error:
            note(("webhooks", webhook_id), error)
    for stream, stream_model in config.streams.items():
        try:
            stream_of(stream_model, stream).check()
        except InvalidDefinition as error:
            note(("streams", stream), error)
    return problems
