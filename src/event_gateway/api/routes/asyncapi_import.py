"""AsyncAPI documents from which event types are imported: what is read, and what is left out."""

from collections.abc import Sequence
from typing import Any

from event_gateway.api.server import problem_types
from event_gateway.api.server.problems import Problem
from event_gateway.config.yaml_faults import BadYaml
from event_gateway.config.yaml_source import read_plain
from event_gateway.core.schema.asyncapi.document import MAX_DEPTH
from event_gateway.core.schema.asyncapi.reading import Skipped
from event_gateway.core.text.json_text import MalformedJson, read_json

MAX_SKIPPED = 1000  # messages that an answer names
MAX_TEXT = 500  # characters of what it says of each
# The body of an import is a document, in one of two languages.
IMPORTED_DOCUMENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "An AsyncAPI document, version 2 or 3.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/yaml": {"schema": {"type": "string"}},
        },
    }
}


def read_document(body: bytes, content_type: str) -> Any:
    """The document in a body, JSON or YAML. Raises a Problem if it is neither."""
    if "json" in content_type or ("yaml" not in content_type and body.lstrip()[:1] == b"{"):
        try:
            return read_json(body)
        except MalformedJson as error:
            raise Problem(problem_types.MALFORMED_BODY, f"the document {error}") from None
    try:
        return read_plain(body.decode("utf-8-sig"), MAX_DEPTH)
    except UnicodeDecodeError:
        raise Problem(problem_types.MALFORMED_BODY, "the document is not UTF-8") from None
    except BadYaml as bad:
        place = f"line {bad.line}: {bad.key}".removesuffix(": ")
        raise Problem(problem_types.MALFORMED_BODY, f"{place}: {bad.reason}") from None


def shown_skipped(skipped: Sequence[Skipped]) -> dict[str, Any]:
    """The messages that are not registered, as members of the answer."""
    return {
        "skipped": [
            {"place": message.place[:MAX_TEXT], "reason": message.reason[:MAX_TEXT]}
            for message in skipped[:MAX_SKIPPED]
        ],
        "skipped_omitted": max(0, len(skipped) - MAX_SKIPPED),
    }
