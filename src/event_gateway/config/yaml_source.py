"""Reads YAML 1.2 (core schema) with the line of every key; refuses duplicate keys, and limits depth
and size. :mod:`.yaml_values` makes the values."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from event_gateway.config.yaml_faults import BadYaml, NotYaml, Path
from event_gateway.config.yaml_values import MAX_DEPTH, MAX_NODES, NodeReader, text_of
from event_gateway.config.yaml_versions import Differences

# The parts of PyYAML's messages that quote the file: unquoted values that begin with * or !.
_QUOTED = re.compile(r"(alias|anchor|tag|handle|base \d+:|float:) (['\"]).*\2", re.DOTALL)
# JSON writes a character beyond U+FFFF as two escapes, which libyaml does not accept.
_PAIR = re.compile(
    r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
# libyaml parses about ten times as fast as PyYAML itself, which is used where libyaml is missing.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlDocument(NamedTuple):
    """A document: its value (None: it is empty), the line of each key path, the faults within it,
    and what YAML 1.1 reads differently."""

    value: Any
    lines: dict[Path, int]
    faults: list[BadYaml]
    differences: Differences


def read(text: str, environ: Mapping[str, str]) -> YamlDocument:
    """A document. ``${NAME}`` and ``${NAME:-default}`` in strings are replaced from ``environ``.

    Raises BadYaml if the document cannot be read at all.
    """
    document = YamlDocument(None, {}, [], Differences())
    node = _compose(text, MAX_DEPTH)
    if node is None:
        return document
    reader = NodeReader(document.lines, document.faults, environ, differences=document.differences)
    return document._replace(value=reader.value(node, ()))


def read_plain(text: str, max_depth: int) -> Any:
    """A document from a client. Variables are not replaced, so that a client cannot read the
    environment; integers may have any size. Raises BadYaml."""
    return _read_alone(text, max_depth, any_integer=True)


def read_value(text: str, differences: Differences) -> Any:
    """The value of an environment variable: YAML, else the text itself. ``differences`` receives
    what YAML 1.1 reads differently. Raises BadYaml, whose line means nothing here."""
    try:
        return _read_alone(text, MAX_DEPTH, any_integer=False, differences=differences)
    except NotYaml:
        return text_of(text, 1, ())


def _read_alone(
    text: str, max_depth: int, *, any_integer: bool, differences: Differences | None = None
) -> Any:
    faults: list[BadYaml] = []
    node = _compose(text, max_depth)
    reader = NodeReader(
        {}, faults, None, max_depth, any_integer=any_integer, differences=differences
    )
    value = None if node is None else reader.value(node, ())
    if faults:
        raise faults[0]
    return value


def _compose(text: str, max_depth: int) -> yaml.Node | None:
    if text.lstrip()[:1] in ("{", "["):
        text = _PAIR.sub(_joined, text)
    try:
        _check_size(text, max_depth)
        node: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        return node
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = ""
        if "${" in "".join(text.split("\n")[line - 1 : line]):
            hint = "; between { and } put ${NAME} in quotes, or give its key a line of its own"
        problem = _without_quotes(error.problem)
        raise NotYaml(line, "", f"not YAML: {problem}{hint}") from None
    except yaml.YAMLError as error:
        raise NotYaml(1, "", f"not YAML: {str(error).splitlines()[0]}") from None
    except UnicodeEncodeError:  # half of a surrogate pair
        raise NotYaml(1, "", "not YAML: it is not UTF-8") from None


def _joined(pair: re.Match[str]) -> str:
    halves = chr(int(pair[2], 16)) + chr(int(pair[3], 16))
    return pair[1] + halves.encode("utf-16", "surrogatepass").decode("utf-16")


def _check_size(text: str, max_depth: int) -> None:
    """Raises BadYaml at the first value beyond a limit, before any value is stored.

    Composing takes a stack frame for each level. Values that are nested only a little too deep are
    left to the reader, which names their key.
    """
    nodes = depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.NodeEvent):
            nodes += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
            too_deep = depth > 8 * max_depth
            if too_deep or nodes > 2 * MAX_NODES:  # twice as many, since keys count here too
                reason = (
                    f"nested deeper than {max_depth}"
                    if too_deep
                    else f"more than {MAX_NODES} values, aliases included"
                )
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise BadYaml(line, "", reason)


def _without_quotes(problem: object) -> str:
    """A message of the parser without the parts of the file, which may be a password."""
    hidden = r"\1 (not shown here; text that begins with * or ! needs quotes)"
    return _QUOTED.sub(hidden, str(problem))
