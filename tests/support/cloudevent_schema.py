"""Whether something is a CloudEvent, by the JSON Schema that the specification publishes."""

import json
from pathlib import Path
from typing import Any

import jsonschema

_SCHEMA = json.loads(
    (Path(__file__).parents[1] / "data" / "cloudevents-1.0.2.schema.json").read_text()
)
_CHECKER = jsonschema.Draft7Validator.FORMAT_CHECKER
# A format that nobody is there to check passes as if it were right.
assert {"uri", "uri-reference", "date-time"} <= set(_CHECKER.checkers)
_VALIDATOR = jsonschema.Draft7Validator(_SCHEMA, format_checker=_CHECKER)


def conforms(event: bytes | str | dict[str, Any]) -> dict[str, Any]:
    """The event, if the schema takes it."""
    read = event if isinstance(event, dict) else json.loads(event)
    _VALIDATOR.validate(read)
    assert read["specversion"] == "1.0"
    assert all((name.isascii() and name.islower()) or name.isdigit() for name in read
               if name != "data_base64")  # fmt: skip
    return dict(read)
