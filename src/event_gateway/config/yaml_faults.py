"""Faults of a YAML document."""

Path = tuple[str, ...]  # the keys that lead to a value


class BadYaml(Exception):
    """A fault of a YAML document, with its line and key."""

    def __init__(self, line: int, key: str, reason: str) -> None:
        super().__init__(reason)
        self.line, self.key, self.reason = line, key, reason


class NotYaml(BadYaml):
    """Text that is not YAML, or whose tags are not understood."""
