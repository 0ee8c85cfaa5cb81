"""Reads YAML with the line of every key; refuses duplicate keys, and limits depth and size."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

Path = tuple[str, ...]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# The parts of PyYAML's messages that quote the file: unquoted values that begin with * or !.
_QUOTED = re.compile(r"(alias|anchor|tag|handle|base \d+:|float:) (['\"]).*\2", re.DOTALL)
# The numbers of YAML 1.2's core schema.
_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
MAX_DEPTH = 32
MAX_NODES = 100_000  # with all aliases expanded
# libyaml parses about ten times as fast as PyYAML itself, which is used where libyaml is missing.
_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class BadYaml(Exception):
    """A fault of a YAML document, with its line and key."""

    def __init__(self, line: int, key: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.key, self.reason = line, key, reason


def read(text: str, environ: Mapping[str, str]) -> tuple[Any, dict[Path, int], list[BadYaml]]:
    """The document, the line of each key path, and the faults within the document.

    ``${NAME}`` and ``${NAME:-default}`` in strings are replaced from ``environ``. Raises BadYaml if
    the document cannot be read at all.
    """
    lines: dict[Path, int] = {}
    faults: list[BadYaml] = []
    node = _compose(text, MAX_DEPTH)
    if node is None:
        return {}, lines, faults
    return _Reader(lines, faults, environ).value(node, ()), lines, faults


def read_plain(text: str, max_depth: int) -> Any:
    """A document from a client, by the rules of YAML 1.2, in which ``ON`` is a string.

    Variables are not replaced, so that a client cannot read the environment. Raises BadYaml.
    """
    faults: list[BadYaml] = []
    node = _compose(text, max_depth)
    value = None if node is None else _Reader({}, faults, None, max_depth).value(node, ())
    if faults:
        raise faults[0]
    return value


def _compose(text: str, max_depth: int) -> yaml.Node | None:
    try:
        _check_size(text, max_depth)
        root: yaml.Node | None = yaml.compose(text, Loader=_Loader)
        return root
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = ""
        if "${" in "".join(text.split("\n")[line - 1 : line]):
            hint = "; between { and } put ${NAME} in quotes, or give its key a line of its own"
        problem = _without_quotes(error.problem)
        raise BadYaml(line, "", f"not YAML: {problem}{hint}") from None
    except yaml.YAMLError as error:
        raise BadYaml(1, "", f"not YAML: {str(error).splitlines()[0]}") from None


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


class _Reader:
    """Turns nodes into values. ``environ`` has the values of ${NAME}; None: a plain document."""

    def __init__(
        self,
        lines: dict[Path, int],
        faults: list[BadYaml],
        environ: Mapping[str, str] | None,
        max_depth: int = MAX_DEPTH,
    ) -> None:
        self._lines, self._faults, self._max_depth = lines, faults, max_depth
        self._plain, self._environ = environ is None, environ or {}
        self._nodes = 0
        self._merging: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise BadYaml(
                line, ".".join(path[:4]), f"more than {MAX_NODES} values, aliases included"
            )
        if len(path) > self._max_depth:
            raise BadYaml(line, ".".join(path[:4]), f"nested deeper than {self._max_depth}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, str(at))) for at, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if self._plain:
            return _plain_scalar(node, line, path)
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        if "${" in node.value:
            return self._interpolated(node, line, path)
        return self._scalar(node, line, path)

    def _scalar(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            detail = _without_quotes(reason)
            raise BadYaml(line, ".".join(path), f"not a plain value: {detail}") from None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = self._merged(value_node, line, path) | merged
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise BadYaml(line, ".".join(path), "a key must be plain text")
            here = (*path, key)
            if key in out:
                first = self._lines[here]
                self._faults.append(
                    BadYaml(line, ".".join(here), f"occurs twice, first in line {first}")
                )
                continue
            self._lines[here] = line
            out[key] = self.value(value_node, here)
        return merged | out

    def _merged(self, node: yaml.Node, line: int, path: Path) -> dict[str, Any]:
        """The members merged by ``<<: *name``; earlier mappings take precedence."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        out: dict[str, Any] = {}
        for mapping in nodes:
            if not isinstance(mapping, yaml.MappingNode):
                raise BadYaml(line, ".".join(path), "<< takes a mapping (*name), or a list of them")
            if id(mapping) in self._merging:
                raise BadYaml(line, ".".join(path), "<< merges a mapping into itself")
            self._merging.add(id(mapping))
            out = self._mapping(mapping, path) | out
            self._merging.discard(id(mapping))
        return out

    def _interpolated(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        def variable(match: re.Match[str]) -> str:
            value = self._environ.get(match[1])
            if value is None and match[2] is None:
                self._faults.append(
                    BadYaml(line, ".".join(path), f"the environment variable {match[1]} is not set")
                )
            return value if value is not None else match[2] or ""

        text = _VARIABLE.sub(variable, node.value)
        if node.style or node.tag != "tag:yaml.org,2002:str":
            return text  # a quoted scalar is always a string
        tag = self._scalars.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return self._scalar(yaml.ScalarNode(tag, text), line, path)


def _plain_scalar(node: yaml.ScalarNode, line: int, path: Path) -> Any:
    """A scalar by YAML 1.2's core schema (10.3.2); a quoted scalar is a string."""
    if not node.tag.startswith(_CORE) or "/" in node.tag.removeprefix(_CORE):
        raise BadYaml(line, ".".join(path[:4]), "tags are not supported")
    text = node.value
    if node.style:
        return text
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.title(), text.upper()):
        return text.lower() == "true"
    try:
        if _INTEGER.fullmatch(text):
            return int(text, 0 if text[:2] in ("0o", "0x") else 10)
        if _FLOAT.fullmatch(text):
            return float(text)
    except ValueError:  # more digits than Python converts
        raise BadYaml(line, ".".join(path[:4]), "not a plain value: too many digits") from None
    return text
