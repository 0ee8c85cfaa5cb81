"""The shapes of request bodies, for the OpenAPI document, that no model validates: an event in them
is read from its bytes, and a message must not repeat a secret."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Confidential
from event_gateway.config.model import Namespace, TransformationModel
from event_gateway.config.values import Duration

_CLOSED = ConfigDict(extra="forbid")


class SampleRequest(TypedDict):
    """The event to send to the receiver."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    event: CloudEvent


class EventToMatch(TypedDict):
    """The event to match."""

    event: CloudEvent


MatchRequest = EventToMatch | CloudEvent


class EvaluationRequest(TypedDict):
    """The expression, and the event for which it is evaluated."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    dialect: NotRequired[Literal["cel", "cesql"]]
    expression: str
    event: CloudEvent


class PreviewRequest(TypedDict):
    """The event, and the transformation: a name, or a definition without a Python function."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    event: CloudEvent
    transformation: NotRequired[str | TransformationModel | None]
    webhook: NotRequired[str | None]


class CheckRequest(TypedDict):
    """The definition of a webhook, and at most 100 events that it may be for."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    webhook: dict[str, Any]
    events: NotRequired[Annotated[list[CloudEvent], Field(max_length=100)]]


_Value = Annotated[Confidential, Field(description="The secret itself; no answer shows it.")]


class SecretValue(TypedDict):
    """The value of a secret. ``namespaces``: those whose webhooks may use it; without this member
    they stay as they are."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    value: _Value
    namespaces: NotRequired[list[Namespace] | None]


class SecretSharing(TypedDict):
    """Who may use a secret, apart from its value. No namespace: only operators' webhooks."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    namespaces: NotRequired[list[Namespace]]


class Rotation(TypedDict):
    """The next value of a secret; ``overlap``: how long the former one signs too (24h)."""

    __pydantic_config__ = _CLOSED  # type: ignore[misc]

    value: _Value
    overlap: NotRequired[Duration | None]
