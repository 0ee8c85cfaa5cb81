"""Loads the configuration from a file and the environment, and reports every problem as a line."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from event_gateway.config.definitions import source_of, stream_of, transformation_of, webhook_of
from event_gateway.config.delivery_model import DeliveryModel
from event_gateway.config.fault_removal import without_faults
from event_gateway.config.ingest_subjects import check_subjects
from event_gateway.config.model import (
    Config,
    IngestModel,
    StreamModel,
    TransformationModel,
)
from event_gateway.config.near_misses import ENV_PREFIX, right_spelling
from event_gateway.config.problems import (
    MAX_SUGGESTIONS,
    ConfigError,
    ConfigProblem,
    KeyLocations,
    KeyPath,
    is_relevant,
)
from event_gateway.config.source_model import SourceModel
from event_gateway.config.webhook_model import WebhookModel
from event_gateway.config.yaml_faults import BadYaml
from event_gateway.config.yaml_source import read, read_value
from event_gateway.config.yaml_versions import Differences
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.sources.rules import source_problems
from event_gateway.core.transformation.definition import BUILT_IN, TransformationDefinition
from event_gateway.core.webhook.validation import RefusesUrl, webhook_problems

__all__ = [
    "ConfigError",
    "ConfigProblem",
    "Examined",
    "KeyLocations",
    "examine",
    "load",
    "load_with_locations",
]

Model = TypeVar("Model", bound=BaseModel)
UrlRule = Callable[[DeliveryModel], RefusesUrl]
TransformationRule = Callable[[TransformationDefinition], object]  # raises InvalidDefinition
MAX_BYTES = 1024 * 1024

# What stands for required keys that are missing or wrong, while the others are checked.
_ANY_WEBHOOK = {"url": "https://example.com/", "events": ["a"]}
_ANY_STREAM = {"subjects": ["a"]}
_ANY_SOURCE = {"type": "github", "secret_name": "a"}


class Examined(NamedTuple):
    """A configuration, the location of each key, and the problems, in the order of the file.

    With problems, ``config`` is what is left of the file without the wrong values; None: nothing.
    """

    config: Config | None
    locations: KeyLocations
    problems: list[ConfigProblem]


def load(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    transformation_rule: TransformationRule,
    url_rule: UrlRule,
) -> Config:
    """The configuration from a file (None: all defaults) and ``EVENT_GATEWAY__…`` variables.

    ``url_rule`` checks the URLs of webhooks by the file's own ``delivery`` section;
    ``transformation_rule`` checks transformations. Raises ConfigError.
    """
    return load_with_locations(
        path, environ, transformation_rule=transformation_rule, url_rule=url_rule
    )[0]


def load_with_locations(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    transformation_rule: TransformationRule,
    url_rule: UrlRule,
) -> tuple[Config, KeyLocations]:
    """As :func:`load`, with the line or variable of each key. Raises ConfigError."""
    config, locations, problems = examine(
        path, environ, transformation_rule=transformation_rule, url_rule=url_rule
    )
    if problems or config is None:
        raise ConfigError(problems)
    return config, locations


def examine(
    path: Path | None,
    environ: Mapping[str, str],
    *,
    transformation_rule: TransformationRule,
    url_rule: UrlRule,
    any_transformation: bool = False,
) -> Examined:
    """As :func:`load_with_locations`, and the problems are returned, all at once. Raises
    ConfigError if the file cannot be read as YAML.

    ``any_transformation``: webhooks may name transformations that the file does not define.
    """
    name = str(path) if path else "environment"
    document: Any = {}
    lines: dict[KeyPath, int] = {}
    problems: list[ConfigProblem] = []
    differences: list[ConfigProblem] = []
    if path is not None:
        try:
            document, lines, faults, found = read(_text(path), environ)
        except BadYaml as fault:
            raise ConfigError([ConfigProblem(name, fault.line, fault.key, fault.reason)]) from None
        differences += _differences(found, name)
        problems += [ConfigProblem(name, fault.line, fault.key, fault.reason) for fault in faults]
        if document is None:
            document = {}
            differences.append(
                ConfigProblem(name, 0, "", "the file is empty: every key has its default")
            )
        if not isinstance(document, dict):
            raise ConfigError([ConfigProblem(name, 1, "", "the file must be a mapping of keys")])
    # An empty section counts as a missing one.
    document = {key: value for key, value in document.items() if value is not None}
    variables, unread, differing = _override(document, environ)
    problems += unread
    locations = KeyLocations(name, lines, variables, tuple(differences + differing))
    at_fault = {(problem.file, problem.line) for problem in problems if problem.line}
    problems += [
        problem
        for problem in _shape_problems(document, locations)
        if (problem.file, problem.line) not in at_fault
    ]
    reported = {problem.key for problem in problems}
    problems += [
        locations.problem(key, reason)
        for key, reason in _definition_problems(
            document, transformation_rule, url_rule, any_transformation=any_transformation
        )
        if key not in reported
    ]
    return Examined(without_faults(Config, document), locations, in_order(problems))


def in_order(problems: Sequence[ConfigProblem]) -> list[ConfigProblem]:
    """Problems in the order of the file; those without a line come last."""
    return sorted(problems, key=lambda problem: (not problem.line, problem.line, problem.file))


def _shape_problems(
    document: Mapping[str, Any], locations: KeyLocations
) -> Iterator[ConfigProblem]:
    """Unknown and missing keys, and values of a wrong type."""
    try:
        Config.model_validate(document)
    except ValidationError as error:
        relevant = [entry for entry in error.errors(include_url=False) if is_relevant(entry)]
        for position, entry in enumerate(relevant):
            problem = locations.from_pydantic(entry, suggest=position < MAX_SUGGESTIONS)
            whole = entry["type"] == "extra_forbidden" and len(entry["loc"]) == 1
            if whole and problem.file.startswith(ENV_PREFIX):
                spelling = right_spelling(problem.file)
                if spelling is not None:
                    reason = f"unknown key; did you mean {spelling}?"
                    problem = ConfigProblem(problem.file, 0, problem.key, reason)
            yield problem


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadYaml(0, "", f"cannot be read: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise BadYaml(0, "", f"is larger than {MAX_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadYaml(0, "", "is not UTF-8") from None


def _override(
    document: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[KeyPath, str], list[ConfigProblem], list[ConfigProblem]]:
    """``EVENT_GATEWAY__SERVER__PORT=9000`` sets ``server.port``; values are read as YAML.

    Returns the variable that has set each key, the problems of values that cannot be used, and what
    YAML 1.1 reads differently.
    """
    variables: dict[KeyPath, str] = {}
    problems: list[ConfigProblem] = []
    differences: list[ConfigProblem] = []
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX):
            continue
        keys = variable.removeprefix(ENV_PREFIX).split("__")
        at = document
        path: KeyPath = ()
        for depth, key in enumerate(keys):
            # Ids keep their case: an existing key that differs only in case is meant.
            name = next((other for other in at if other.lower() == key.lower()), key.lower())
            path = (*path, name)
            if depth == len(keys) - 1:
                found = Differences(path)
                try:
                    at[name] = read_value(text, found)
                    differences += _differences(found, variable)
                except BadYaml as fault:
                    below = f".{fault.key}" if fault.key else ""
                    problems.append(
                        ConfigProblem(variable, 0, ".".join(path) + below, fault.reason)
                    )
            else:
                if not isinstance(at.get(name), dict):
                    at[name] = {}
                at = at[name]
        variables[path] = variable
    return variables, problems, differences


def _differences(found: Differences, name: str) -> Iterator[ConfigProblem]:
    """What YAML 1.1 reads differently in a file or a variable."""
    for line, path, reason in found.first:
        yield ConfigProblem(name, line, ".".join(path), reason)
    if found.more:
        yield ConfigProblem(name, 0, "", f"YAML 1.1 reads {found.more} more values differently")


def _definition_problems(
    document: Mapping[str, Any],
    transformation_rule: TransformationRule,
    url_rule: UrlRule,
    *,
    any_transformation: bool,
) -> Iterator[tuple[str, str]]:
    """The faults that the core finds in definitions of the right shape: pairs of key and reason."""
    ingest = _valid(IngestModel, document.get("ingest", {})) or IngestModel()
    yield from check_subjects(ingest.subjects or [])
    delivery = _valid(DeliveryModel, document.get("delivery", {}))
    # A section with faults does not say what it allows: no URL is checked.
    refuses_url = (lambda url: None) if delivery is None else url_rule(delivery)
    transformations = {*BUILT_IN}
    for name, value in _items(document, "transformations"):
        transformations.add(name)  # even with faults, which are not reported again for webhooks
        transformation = _valid(TransformationModel, value) or _without_faults(value)
        if transformation is not None:
            try:
                transformation_rule(transformation_of(transformation, name))
            except InvalidDefinition as error:
                yield _key("transformations", name, error), error.detail
    for name, value in _items(document, "webhooks"):
        model = without_faults(WebhookModel, value, _ANY_WEBHOOK)
        if model is not None:
            webhook = webhook_of(model, name, managed_by="file")
            if any_transformation:
                transformations.add(webhook.transformation)
            for problem in webhook_problems(
                webhook, frozenset(transformations), ingest.retention, refuses_url
            ):
                yield _key("webhooks", name, problem), problem.detail
    yield from _renaming_problems(document)
    for name, value in _items(document, "streams"):
        stream = without_faults(StreamModel, value, _ANY_STREAM)
        if stream is not None:
            try:
                stream_of(stream, name, managed_by="file").check()
            except InvalidDefinition as error:
                yield _key("streams", name, error), error.detail
    for name, value in _items(document, "sources"):
        source = without_faults(SourceModel, value, _ANY_SOURCE)
        if source is not None:
            for problem in source_problems(source_of(source, name, managed_by="file")):
                yield _key("sources", name, problem), problem.detail


def _renaming_problems(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Former ids that the file still has, or that two webhooks take over."""
    webhooks = dict(_items(document, "webhooks"))
    taken: dict[str, str] = {}
    for name, value in webhooks.items():
        former = value.get("renamed_from") if isinstance(value, dict) else None
        if not isinstance(former, str) or former == name:
            continue
        key = f"webhooks.{name}.renamed_from"
        if former in webhooks:
            yield key, f"the file still has the webhook {former}"
        elif former in taken:
            yield key, f"{taken[former]} takes {former} over already"
        taken.setdefault(former, name)


def _items(document: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    value = document.get(section)
    return list(value.items()) if isinstance(value, dict) else []


def _valid(model: type[Model], value: Any) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None


def _without_faults(value: Any) -> TransformationModel | None:
    """A transformation without the options that have a fault; None if what it does has one."""
    what = ("base", "template", "python")
    usable = without_faults(TransformationModel, value)
    if usable is None or any((key in value) != (key in usable.model_fields_set) for key in what):
        return None
    return usable


def _key(section: str, name: str, error: InvalidDefinition) -> str:
    inner = "" if error.key in ("id", "name") else f".{error.key}"
    return f"{section}.{name}{inner}"
