"""Documents in files that a command sends: YAML or JSON."""

import sys
from pathlib import Path
from typing import Any

from event_gateway.cli.client.output import fail

MAX_BYTES = 64 * 1024 * 1024  # of a document
MAX_DEPTH = 64  # of its mappings and lists


def read_document(file: Path, max_depth: int = MAX_DEPTH) -> Any:
    """The document in a file, or in the standard input for ``-``. Ends the command, with the line
    of the mistake, if it cannot be read."""
    from event_gateway.config.yaml_faults import BadYaml
    from event_gateway.config.yaml_source import read_plain
    from event_gateway.core.errors import InvalidDefinition
    from event_gateway.core.text.json_text import MalformedJson, read_json

    text = read_text(file)
    if text.lstrip().startswith("{"):
        try:
            return read_json(text)
        except (MalformedJson, InvalidDefinition):
            pass  # YAML in braces, or invalid JSON: the YAML reader names the line of the error
    try:
        return read_plain(text, max_depth)
    except BadYaml as bad:
        fail(f"{file}:{bad.line}: {bad.key}".removesuffix(": ") + f": {bad.reason}", 2)


def read_text(file: Path) -> str:
    """The text of a file, or of the standard input for ``-``. Ends the command if it is too large
    or no text."""
    try:
        if str(file) == "-":
            raw = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with file.open("rb") as opened:
                raw = opened.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            fail(f"{file}: is larger than {MAX_BYTES} bytes", 2)
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        fail(f"{file}: {getattr(error, 'strerror', None) or 'is not UTF-8'}", 2)
