"""Values of the configuration that say what a caller may do."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from event_gateway.core.access.principal import OPERATOR
from event_gateway.core.access.scope import SCOPES
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.text.suggestion import suggestion


def check_scope(value: str) -> str:
    """A scope. Raises ValueError."""
    if value not in SCOPES:
        shown, known = value[:64], ", ".join(SCOPES)
        raise ValueError(f"{shown!r} is no scope{suggestion(shown, SCOPES)}; scopes are {known}")
    return value


def check_caller_name(value: str) -> str:
    """A name that is not that of the admin key. Raises ValueError."""
    if value == OPERATOR.name:
        raise ValueError(f"{OPERATOR.name} is the name of the admin key")
    return value


def _pattern(value: str) -> str:
    try:
        check_pattern(value, "")
    except InvalidDefinition as error:
        raise ValueError(error.detail) from None
    return value


Scope = Annotated[str, AfterValidator(check_scope), WithJsonSchema({"enum": [*SCOPES]})]
TypePattern = Annotated[str, AfterValidator(_pattern)]
CallerName = Annotated[
    str, Field(pattern="^[A-Za-z0-9_.@:-]{1,64}$"), AfterValidator(check_caller_name)
]
