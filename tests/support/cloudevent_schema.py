"""Checks CloudEvents against the JSON Schema that the specification publishes."""

import json
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMA = json.loads(
    (Path(__file__).parents[1] / "data" / "cloudevents-1.0.2.schema.json").read_text()
)
_CHECKER = jsonschema.Draft7Validator.FORMAT_CHECKER
# A format without a checker would be accepted without a check.
assert {"uri", "uri-reference", "date-time"} <= set(_CHECKER.checkers)
_VALIDATOR = jsonschema.Draft7Validator(_SCHEMA, format_checker=_CHECKER)


def conforms(event: bytes | str | dict[str, Any]) -> dict[str, Any]:
    """The event. Fails unless the schema accepts it."""
    read = event if isinstance(event, dict) else json.loads(event)
    _VALIDATOR.validate(read)
    assert read["specversion"] == "1.0"
    assert all((name.isascii() and name.islower()) or name.isdigit() for name in read
               if name != "data_base64")  # fmt: skip
    return dict(read)
