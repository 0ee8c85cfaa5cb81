"""YAML with the line of every key, without duplicate keys, and bounded however it is nested."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

Path = tuple[str, ...]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# What PyYAML repeats of the text: a value that begins with * or ! and should be in quotes.
_REPEATED = re.compile(r"(alias|anchor|tag|handle|base \d+:|float:) (['\"]).*\2", re.DOTALL)
MAX_DEPTH = 32
MAX_NODES = 100_000  # with all aliases followed


class BadYaml(Exception):
    """What cannot be read, with the line and the key that it is about."""

    def __init__(self, line: int, key: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.key, self.reason = line, key, reason


def read(
    text: str, environ: Mapping[str, str] | None, max_depth: int = MAX_DEPTH
) -> tuple[Any, dict[Path, int], list[BadYaml]]:
    """The document, the line of each key path, and what is wrong inside it.

    ``${NAME}`` and ``${NAME:-default}`` in strings are replaced, unless ``environ`` is None: who
    sends a document must not read the environment with it. Raises BadYaml where there is no
    document to speak of.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        hint = ""
        if "${" in "".join(text.split("\n")[line - 1 : line]):
            hint = "; between { and } put ${NAME} in quotes, or give its key a line of its own"
        problem = _unrepeated(error.problem)
        raise BadYaml(line, "", f"not YAML: {problem}{hint}") from None
    except yaml.YAMLError as error:
        raise BadYaml(1, "", f"not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise BadYaml(1, "", f"nested deeper than {max_depth}") from None
    lines: dict[Path, int] = {}
    wrong: list[BadYaml] = []
    if node is None:
        return {}, lines, wrong
    return _Reader(environ, lines, wrong, max_depth).value(node, ()), lines, wrong


def _unrepeated(problem: object) -> str:
    """A parser's words without the text that it found, which may be a password."""
    hidden = r"\1 (not repeated here; text that begins with * or ! needs quotes)"
    return _REPEATED.sub(hidden, str(problem))


class _Reader:
    def __init__(
        self,
        environ: Mapping[str, str] | None,
        lines: dict[Path, int],
        wrong: list[BadYaml],
        max_depth: int,
    ) -> None:
        self._environ, self._lines, self._wrong = environ or {}, lines, wrong
        self._interpolates, self._max_depth = environ is not None, max_depth
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
            return [self.value(one, (*path, str(at))) for at, one in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        if self._interpolates and "${" in node.value:
            return self._interpolated(node, line, path)
        return self._scalar(node, line, path)

    def _scalar(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or error
            why = _unrepeated(reason)
            raise BadYaml(line, ".".join(path), f"not a plain value: {why}") from None

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
                self._wrong.append(
                    BadYaml(line, ".".join(here), f"stands twice, first in line {first}")
                )
                continue
            self._lines[here] = line
            out[key] = self.value(value_node, here)
        return merged | out

    def _merged(self, node: yaml.Node, line: int, path: Path) -> dict[str, Any]:
        """What ``<<: *name`` brings in; of several, the earlier ones win."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        out: dict[str, Any] = {}
        for one in nodes:
            if not isinstance(one, yaml.MappingNode):
                raise BadYaml(line, ".".join(path), "<< takes a mapping (*name), or a list of them")
            if id(one) in self._merging:
                raise BadYaml(line, ".".join(path), "<< brings in what it stands in")
            self._merging.add(id(one))
            out = self._mapping(one, path) | out
            self._merging.discard(id(one))
        return out

    def _interpolated(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        def variable(match: re.Match[str]) -> str:
            value = self._environ.get(match[1])
            if value is None and match[2] is None:
                self._wrong.append(
                    BadYaml(line, ".".join(path), f"the environment variable {match[1]} is not set")
                )
            return value if value is not None else match[2] or ""

        text = _VARIABLE.sub(variable, node.value)
        if node.style is not None or node.tag != "tag:yaml.org,2002:str":
            return text  # in quotes it is text, whatever it looks like
        tag = self._scalars.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return self._scalar(yaml.ScalarNode(tag, text), line, path)
