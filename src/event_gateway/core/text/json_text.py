"""Reads JSON text strictly: UTF-8, and no name twice in an object (RFC 8259, 4 and 8.1)."""

import json
from typing import Any

from event_gateway.core.errors import InvalidDefinition


class MalformedJson(Exception):
    """The text is not JSON, or cannot be read; the message says why."""


def read_json(text: bytes | str) -> Any:
    """The value of a JSON text. NaN and Infinity, which JSON does not have, are read as floats:
    :func:`event_gateway.core.text.json_values.check_plain` names their key.

    Raises MalformedJson; InvalidDefinition, with the name as its key, if an object has it twice.
    """
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8-sig")
        return json.loads(decoded, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise MalformedJson(f"is not UTF-8: byte {error.start} is wrong") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise MalformedJson(f"is not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise MalformedJson("is nested too deep") from None
    except ValueError:  # Python reads no integers of more than 4,300 digits
        raise MalformedJson("contains a number of too many digits") from None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) != len(members):
        names: set[str] = set()
        for name, _ in members:
            if name in names:
                raise InvalidDefinition(name[:64], "is there twice in one object")
            names.add(name)
    return made
