"""The types of values in the configuration, and the base of all its sections."""

from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from event_gateway.core.text.units import exact_size, format_duration, parse_duration, parse_size

MAX_LISTED = 1000  # entries of a list in the file
DURATION_EXAMPLES = ["30s", "5m", "1h30m", "7d", "2y", "PT5M"]
SIZE_EXAMPLES = ["64KiB", "1MiB", "10GB"]


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("must be a duration, for example 30s, 5m or 7d")
    return parse_duration(value if isinstance(value, str) else str(value))


def _size(value: Any) -> Any:
    return parse_size(value) if isinstance(value, str) else value


def _at_least_a_minute(value: float) -> float:
    if value < 60:
        raise ValueError("must be at least 1m")
    return value


def _networks(value: list[str]) -> list[str]:
    for text in value:
        ip_network(text)
    return value


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    Field(ge=0),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "examples": DURATION_EXAMPLES}),
]
Retention = Annotated[Duration, AfterValidator(_at_least_a_minute)]
Networks = Annotated[list[str], Field(max_length=MAX_LISTED), AfterValidator(_networks)]  # CIDR
Size = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=1),
    PlainSerializer(exact_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}],
         "examples": SIZE_EXAMPLES}
    ),
]  # fmt: skip


class Section(BaseModel):
    """A section: unknown keys, and values of another type, are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
