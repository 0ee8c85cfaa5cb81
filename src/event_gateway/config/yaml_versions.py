"""Plain values that YAML 1.1 and YAML 1.2 read differently.

The gateway reads a file by the core schema of YAML 1.2 (10.3.2), in which ``NO`` is text. Much
software reads YAML 1.1, in which it is false. ``event-gateway check`` names such values.
"""

import re
from typing import Any, NamedTuple

import yaml

from event_gateway.config.yaml_faults import Path

MAX_DIFFERENCES = 100  # that are kept of one file
MAX_SHOWN = 40  # characters of a value
# YAML 1.1 lists these as booleans, too; PyYAML, whose rules are used for all else, does not.
_SHORT = {"y": True, "Y": True, "n": False, "N": False}
# Values of keys with such a name are not shown.
_SECRET = re.compile("pass|secret|token|key|creds|credential|authorization|cookie", re.IGNORECASE)


class YamlDifference(NamedTuple):
    """A value that both versions read, each in its way: its line (0 in a variable), its key, and
    both readings."""

    line: int
    key: Path
    reason: str


class Differences:
    """The differences in one document: the first MAX_DIFFERENCES, and how many others there are.

    ``below``: the key whose value the document is.
    """

    def __init__(self, below: Path = ()) -> None:
        self._below = below
        self.first: list[YamlDifference] = []
        self.more = 0
        self._seen: set[int] = set()
        self._yaml_1_1 = yaml.SafeLoader("")

    def value(self, node: yaml.ScalarNode, text: str, value: Any, path: Path) -> None:
        """Notes a plain scalar that YAML 1.2 reads as ``value``, if YAML 1.1 reads it differently.

        ``text``: the scalar, with its variables replaced.
        """
        former, described = self._former(text)
        if _same(former, value):
            return
        if _SECRET.search((*self._below, *path, "")[-2]):
            shown, now, described = "the value", _kind(value), _kind(former)
        else:
            shown, now = text[:MAX_SHOWN], _described(value)
        self._add(
            node,
            path,
            f"{shown} is {now} here, as in YAML 1.2, but {described} in YAML 1.1; quotes make it "
            "text in both",
        )

    def key(self, node: yaml.ScalarNode, value: Any, path: Path) -> None:
        """Notes a plain key that YAML 1.2 reads as ``value``, if YAML 1.1 reads it differently."""
        former, described = self._former(node.value)
        if not _same(former, value):
            shown = node.value[:MAX_SHOWN]
            self._add(
                node,
                path,
                f"the key {shown} is text here, but {described} in YAML 1.1; quotes make it text "
                "in both",
            )

    def merge(self, node: yaml.ScalarNode, path: Path) -> None:
        """Notes a key ``<<``."""
        self._add(
            node, path, "<< merges a mapping here, as in YAML 1.1; in YAML 1.2 it is a usual key"
        )

    def _former(self, text: str) -> tuple[Any, str]:
        """The value in YAML 1.1, and its description."""
        tag = self._yaml_1_1.resolve(  # type: ignore[no-untyped-call]
            yaml.ScalarNode, text, (True, False)
        )
        if text in _SHORT:
            return _SHORT[text], _described(_SHORT[text])
        name = tag.rpartition(":")[2]
        if name == "str":
            return text, "text"
        if name == "value":
            return ..., "the default value of a mapping"
        if name == "merge":
            return ..., "a merge of mappings"
        try:
            former = self._yaml_1_1.construct_object(yaml.ScalarNode(tag, text))
        except (ValueError, OverflowError, yaml.YAMLError):
            return ..., "no valid value"
        return former, f"the time {former}" if name == "timestamp" else _described(former)

    def _add(self, node: yaml.Node, path: Path, reason: str) -> None:
        if node.start_mark.index in self._seen:
            return  # reached through another alias
        self._seen.add(node.start_mark.index)
        if len(self.first) < MAX_DIFFERENCES:
            line = 0 if self._below else node.start_mark.line + 1
            self.first.append(YamlDifference(line, (*self._below, *path), reason))
        else:
            self.more += 1


def _described(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the number {str(value)[:MAX_SHOWN]}"


def _kind(value: Any) -> str:
    """The description of a value that is not shown."""
    if isinstance(value, (str, bool, int, float)) or value is None:
        described = _described(value)
        return "a number" if described.startswith("the number") else described
    return "something else"


def _same(former: Any, value: Any) -> bool:
    return type(former) is type(value) and bool(former == value)
