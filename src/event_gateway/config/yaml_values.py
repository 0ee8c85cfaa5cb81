"""Turns the nodes of a YAML document into values, by YAML 1.2's core schema."""

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from event_gateway.config.yaml_faults import BadYaml, NotYaml, Path
from event_gateway.config.yaml_versions import Differences
from event_gateway.core.text.json_values import INTEGERS

MAX_DEPTH = 32
MAX_NODES = 100_000  # with all aliases expanded
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# The numbers of YAML 1.2's core schema.
_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


class NodeReader:
    """Turns nodes into values. ``environ`` has the values of ${NAME}; None: nothing is replaced.
    ``any_integer``: integers may have more than 64 bits. ``differences`` receives what YAML 1.1
    reads differently."""

    def __init__(
        self,
        lines: dict[Path, int],
        faults: list[BadYaml],
        environ: Mapping[str, str] | None,
        max_depth: int = MAX_DEPTH,
        *,
        any_integer: bool = False,
        differences: Differences | None = None,
    ) -> None:
        self._lines, self._faults, self._max_depth = lines, faults, max_depth
        self._environ, self._any_integer = environ, any_integer
        self._differences = differences
        self._nodes = 0
        self._merging: set[int] = set()
        self._resolver = yaml.SafeLoader("")

    def value(self, node: yaml.Node, path: Path) -> Any:
        """The value of a node. Raises BadYaml where no other value can be read."""
        line = node.start_mark.line + 1
        self._lines.setdefault(path, line)
        self._count(line, path)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
            return [self.value(item, (*path, str(at))) for at, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            raise _tagged(line, path)
        try:
            return self._of_scalar(node, line, path)
        except NotYaml:
            raise
        except BadYaml as fault:
            self._faults.append(fault)  # the other values are read all the same
            return None

    def _of_scalar(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        if self._environ is not None and "${" in node.value:
            return self._interpolated(node, line, path)
        if self._is_text(node, line, path):
            return text_of(node.value, line, path)
        return self._plain(node, node.value, line, path)

    def _plain(self, node: yaml.ScalarNode, text: str, line: int, path: Path) -> Any:
        value = self._scalar(text, line, path)
        if self._differences is not None:
            self._differences.value(node, text, value, path)
        return value

    def _count(self, line: int, path: Path) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise BadYaml(
                line, ".".join(path[:4]), f"more than {MAX_NODES} values, aliases included"
            )
        if len(path) > self._max_depth:
            raise BadYaml(line, ".".join(path[:4]), f"nested deeper than {self._max_depth}")

    def _is_text(self, node: yaml.ScalarNode, line: int, path: Path) -> bool:
        """Whether a scalar is text whatever it looks like: in quotes, or tagged as !!str."""
        quoted = bool(node.style)  # libyaml says "" where PyYAML says None
        implicit = self._resolver.resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, node.value, (not quoted, quoted)
        )
        if node.tag == implicit:
            return quoted
        if node.tag != f"{_CORE}str":
            raise _tagged(line, path)
        return True

    def _scalar(self, text: str, line: int, path: Path) -> Any:
        """A plain scalar. Raises BadYaml for a number that cannot be stored."""
        key = ".".join(path[:4])
        try:
            value = _core_value(text)
        except ValueError:  # more digits than Python reads
            raise BadYaml(line, key, "not a plain value: too many digits") from None
        if isinstance(value, str):
            return text_of(text, line, path)
        if isinstance(value, float) and not math.isfinite(value):
            raise BadYaml(line, key, "must be a finite number")
        if isinstance(value, int) and not (self._any_integer or value in INTEGERS):
            raise BadYaml(line, key, "is an integer of more than 64 bits")
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                merged = self._merged(value_node, line, path) | merged
                if self._differences is not None:
                    self._differences.merge(key_node, (*path, "<<"))
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise BadYaml(line, ".".join(path), "a key must be plain text")
            here = (*path, text_of(key, line, path))
            if self._differences is not None and not key_node.style:
                self._differences.key(key_node, _core_value(key), here)
            if key in out:
                first = self._lines[here]
                self._faults.append(
                    BadYaml(line, ".".join(here), f"occurs twice, first in line {first}")
                )
                continue
            self._lines[here] = line
            out[here[-1]] = self.value(value_node, here)
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
            self._count(line, path)
            self._merging.add(id(mapping))
            out = self._mapping(mapping, path) | out
            self._merging.discard(id(mapping))
        return out

    def _interpolated(self, node: yaml.ScalarNode, line: int, path: Path) -> Any:
        def variable(match: re.Match[str]) -> str:
            value = (self._environ or {}).get(match[1])
            if value is None and match[2] is None:
                self._faults.append(
                    BadYaml(line, ".".join(path), f"the environment variable {match[1]} is not set")
                )
            return value if value is not None else match[2] or ""

        text = _VARIABLE.sub(variable, node.value)
        if node.style or node.tag != f"{_CORE}str":
            return text_of(text, line, path)  # in quotes it is text, whatever it looks like
        return self._plain(node, text, line, path)


def _core_value(text: str) -> Any:
    """A plain scalar by YAML 1.2's core schema (10.3.2). Raises ValueError for an integer of too
    many digits."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    if _INTEGER.fullmatch(text):
        return int(text, 0 if text[:2] in ("0o", "0x") else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    return math.nan if _NOT_FINITE.fullmatch(text) else text


def _tagged(line: int, path: Path) -> NotYaml:
    return NotYaml(
        line,
        ".".join(path[:4]),
        "not a plain value: tags are not understood (text that begins with ! needs quotes)",
    )


def text_of(text: str, line: int, path: Path) -> str:
    """Text, in which the two halves of a surrogate pair are joined. Raises BadYaml for a half."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise BadYaml(
            line, ".".join(path[:4]), "contains a code point that is not a character, or is not "
            "UTF-8"
        ) from None  # fmt: skip
