"""Filters in options: FIELD=VALUE."""

import contextlib
import json
import re
from typing import Any

from event_gateway.cli.client.output import fail

_FILTER = re.compile(r"([A-Za-z0-9_.\[\]*-]+?)(!=|>=|<=|=|>|<|~)(.*)", re.DOTALL)
_OPERATORS = {
    "=": "equals", "!=": "not_equals", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte",
    "~": "matches",
}  # fmt: skip


def parse_filter(text: str) -> dict[str, Any]:
    """A filter as the API takes it, of an option FIELD=VALUE (or != > >= < <= ~ instead of =).

    A value that is JSON is decoded, any other is text. Ends the command if the option is not valid.
    """
    match = _FILTER.fullmatch(text)
    if match is None:
        fail(f"--filter: {text[:64]!r} is not FIELD=VALUE (or != > >= < <= ~)", 2)
    field, operator, value = match.groups()
    if operator != "~":
        with contextlib.suppress(ValueError):  # not JSON: text
            value = json.loads(value)
    return {"field": field, "operator": _OPERATORS[operator], "value": value}
