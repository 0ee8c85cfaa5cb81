"""Environment variables that the gateway does not read, and that look as if it should."""

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from event_gateway.config.model import Config
from event_gateway.config.problems import ConfigProblem

ENV_PREFIX = "EVENT_GATEWAY__"
MAX_COMPARED = 64  # characters of a name for which a similar one is looked up
MAX_WARNED = 20  # variables
LEAST_SIMILARITY = 0.8
NOT_READ = "this variable is not read"

# Read by commands, in place of options.
COMMANDS_READ = frozenset(
    f"EVENT_GATEWAY_{name}" for name in ("URL", "KEY", "KEY_FILE", "CA", "CONTEXT", "LISTEN_SECRET")
)
# Read by one command, and easily taken for a variable of the configuration.
ONE_COMMAND_READS = {"EVENT_GATEWAY_NATS_URL": "send"}
_NOT_IN_NAME = re.compile(r"[^A-Z0-9]+")
# Kubernetes sets these for each service of the namespace, one named event-gateway included.
_OF_KUBERNETES = re.compile(
    r"\w+_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def near_misses(environ: Mapping[str, str], secrets_prefix: str) -> Iterator[ConfigProblem]:
    """A warning for each variable that is not read and looks as if it should be, with the right
    spelling where one is known; at most MAX_WARNED. No value is shown.

    ``secrets_prefix``: what the names of secrets in the environment begin with.
    """
    warned = 0
    for name, value in sorted(environ.items()):
        if name.startswith((ENV_PREFIX, secrets_prefix)) or name in COMMANDS_READ:
            continue
        joined = _joined(name)
        if not joined.startswith(("EVENT_GATEWAY_", "EVENTGATEWAY_")):
            continue
        if _OF_KUBERNETES.fullmatch(name) or _ADDRESS.match(value):
            continue
        if warned == MAX_WARNED:
            yield ConfigProblem("environment", 0, "", "more variables like this are not read")
            return
        warned += 1
        command = ONE_COMMAND_READS.get(name)
        read = f"only event-gateway {command} reads this variable" if command else NOT_READ
        yield ConfigProblem(name, 0, "", f"{read}{_meant(joined, secrets_prefix)}")


def right_spelling(variable: str) -> str | None:
    """The variable of a key of the configuration that is spelled like this one; None if there is
    none."""
    rest = _rest(_joined(variable))
    known = _variables()
    if rest in known:
        return known[rest]
    close = difflib.get_close_matches(
        rest[:MAX_COMPARED], list(known), n=1, cutoff=LEAST_SIMILARITY
    )
    return known[close[0]] if close else None


def _meant(joined: str, secrets_prefix: str) -> str:
    rest = _rest(joined)
    for other in COMMANDS_READ:
        if joined == other:
            return f"; did you mean {other}?"
    spelling = right_spelling(joined)
    if spelling is not None:
        return f"; did you mean {spelling}, with two underscores between the keys?"
    if rest.startswith("SECRET_"):
        name = rest.removeprefix("SECRET_")
        return f"; the variable of a secret is {secrets_prefix}{name}"
    sections = (name for name in Config.model_fields if rest.startswith(f"{name.upper()}_"))
    if section := next(sections, ""):
        return (
            f"; the keys of {section} are set by {ENV_PREFIX}{section.upper()}__…, with two "
            "underscores between the keys"
        )
    return f"; those of the configuration begin with {ENV_PREFIX}, as {ENV_PREFIX}SERVER__PORT does"


def _joined(name: str) -> str:
    """The name in capitals, with one underscore between its words."""
    return _NOT_IN_NAME.sub("_", name.upper())


def _rest(joined: str) -> str:
    return joined.removeprefix("EVENT_GATEWAY_").removeprefix("EVENTGATEWAY_")


@cache
def _variables() -> dict[str, str]:
    """By the key's words, joined by one underscore: the variable that sets it."""
    return {"_".join(path): ENV_PREFIX + "__".join(path) for path in _paths(Config, ())}


def _paths(model: type[BaseModel], above: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        path = (*above, name.upper())
        yield path
        inner = _section_in(field.annotation)
        if inner is not None and inner is not model:
            yield from _paths(inner, path)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a section; None for values, lists, and sections by name."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if getattr(annotation, "__origin__", None) in (list, dict):
        return None
    for part in getattr(annotation, "__args__", ()):
        if (inner := _section_in(part)) is not None:
            return inner
    return None
