"""Values of the configuration that say what a caller may do."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from event_gateway.core.access.principal import OPERATOR
from event_gateway.core.access.scope import SCOPES
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.pattern import check_pattern
from event_gateway.core.text.suggestion import suggestion


def _scope(value: str) -> str:
    if value not in SCOPES:
        known = ", ".join(SCOPES)
        raise ValueError(f"{value!r} is no scope{suggestion(value, SCOPES)}; scopes are {known}")
    return value


def _pattern(value: str) -> str:
    try:
        check_pattern(value, "")
    except InvalidDefinition as error:
        raise ValueError(error.detail) from None
    return value


def _caller_name(value: str) -> str:
    if value == OPERATOR.name:
        raise ValueError(f"{OPERATOR.name} is the name of the admin key")
    return value


Scope = Annotated[str, AfterValidator(_scope), WithJsonSchema({"enum": [*SCOPES]})]
TypePattern = Annotated[str, AfterValidator(_pattern)]
CallerName = Annotated[str, Field(pattern="^[A-Za-z0-9_.@:-]{1,64}$"), AfterValidator(_caller_name)]
