"""YAML with the line of every key, without duplicate keys and without aliases."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

Path = tuple[str, ...]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
MAX_DEPTH = 32


class BadYaml(Exception):
    """What cannot be read, with the line and the key that it is about."""

    def __init__(self, line: int, key: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.key, self.reason = line, key, reason


def read(text: str, environ: Mapping[str, str]) -> tuple[Any, dict[Path, int], list[BadYaml]]:
    """The document, the line of each key path, and what is wrong inside it.

    ``${NAME}`` and ``${NAME:-default}`` in strings are replaced. Raises BadYaml where there is no
    document to speak of.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadYaml(line, "", f"not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BadYaml(1, "", f"not YAML: {error}") from None
    lines: dict[Path, int] = {}
    wrong: list[BadYaml] = []
    if node is None:
        return {}, lines, wrong
    return _Reader(environ, lines, wrong).value(node, ()), lines, wrong


class _Reader:
    def __init__(
        self, environ: Mapping[str, str], lines: dict[Path, int], wrong: list[BadYaml]
    ) -> None:
        self._environ, self._lines, self._wrong = environ, lines, wrong
        self._seen: set[int] = set()
        self._scalars = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        if id(node) in self._seen:
            raise BadYaml(line, ".".join(path), "aliases (*name) are not supported")
        self._seen.add(id(node))
        if len(path) > MAX_DEPTH:
            raise BadYaml(line, ".".join(path[:4]), f"nested deeper than {MAX_DEPTH}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(one, (*path, str(at))) for at, one in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        try:
            value = self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise BadYaml(line, ".".join(path), f"not a plain value: {error}") from None
        return self._interpolated(value, line, path) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
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
        return out

    def _interpolated(self, text: str, line: int, path: Path) -> str:
        def variable(match: re.Match[str]) -> str:
            value = self._environ.get(match[1])
            if value is None and match[2] is None:
                self._wrong.append(
                    BadYaml(line, ".".join(path), f"the environment variable {match[1]} is not set")
                )
            return value if value is not None else match[2] or ""

        return _VARIABLE.sub(variable, text)
