"""An event type in the body of a request."""

from typing import Any

import msgspec

from event_gateway.api.server.bodies import body_as
from event_gateway.config.request_bodies import InvalidBody
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.schema.event_type import EventType, to_json


class EventTypeBody(msgspec.Struct, forbid_unknown_fields=True):
    """An event type in a request. The last four members are those of an answer, so that an answer
    can be changed and sent back; the gateway ignores them."""

    type: str
    description: str = ""
    owner: str = ""
    dataschema: str | None = None
    schema: Any = msgspec.UNSET
    examples: list[Any] = []
    enforce: str | None = None
    in_force: str | None = None
    managed_by: str | None = None
    created_at: str | None = None
    updated_at: str | None = None


def event_type_of(body: dict[str, Any]) -> EventType:
    """The event type of a request's body, checked. Raises InvalidDefinition and InvalidBody."""
    given = body_as(EventTypeBody, body)
    if given.schema is None:
        raise InvalidDefinition("schema", "must be a schema, or be left out")
    event_type = EventType(
        type=given.type,
        description=given.description,
        owner=given.owner,
        dataschema=given.dataschema or "",
        schema=given.schema if given.schema is msgspec.UNSET else to_json(given.schema, "schema"),
        examples=tuple(
            to_json(example, f"examples[{at}]") for at, example in enumerate(given.examples)
        ),
        enforce=given.enforce,
    )
    problems = list(event_type.problems())
    if problems:
        raise InvalidBody([(problem.key, problem.detail) for problem in problems])
    return event_type
