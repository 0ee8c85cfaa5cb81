"""Answers about inbound sources."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from event_gateway.api.answers.common import CloudEvent, Duration, Manager, Time, Warned


class SourceTemplates(TypedDict):
    """Templates of an event's attributes."""

    type: NotRequired[str]
    subject: NotRequired[str]
    id: NotRequired[str]
    time: NotRequired[str]
    source: NotRequired[str]


class SourceDefinitionAnswer(TypedDict):
    """A source as it is registered: of the settings, those that it has. ``event``: the templates
    that it names itself."""

    name: str
    type: str
    secret_name: NotRequired[str]
    header: NotRequired[str]
    query: NotRequired[str]
    algorithm: NotRequired[str]
    encoding: NotRequired[str]
    prefix: NotRequired[str]
    signed: NotRequired[str]
    timestamp: NotRequired[str]
    username: NotRequired[str]
    public_key: NotRequired[str]
    url: NotRequired[str]
    topics: NotRequired[list[str]]
    issuer: NotRequired[str]
    audience: NotRequired[str]
    jwks_url: NotRequired[str]
    email: NotRequired[str]
    subject: NotRequired[str]
    dns: NotRequired[str]
    uri: NotRequired[str]
    event: SourceTemplates
    tolerance: Duration | None
    keep_refused: bool
    enabled: bool
    description: str
    managed_by: Manager
    created_at: Time


class SourceRefusal(TypedDict):
    """A refused request. ``reason``: its outcome."""

    at: Time
    reason: str
    detail: str


class SourceRequestCounts(TypedDict):
    """Requests to a source since it was registered, over all processes. ``since``: when the first
    was counted, and ``taken_at``: when the latest was taken, null if there was none; ``outcomes``:
    how many had each outcome, of which ``taken`` and ``refused`` are the sums."""

    since: Time | None
    taken: int
    refused: int
    outcomes: dict[str, int]
    taken_at: Time | None
    latest_refusal: SourceRefusal | None


class SourceAnswer(SourceDefinitionAnswer):
    """A source. ``in_force``: all templates, also those of its provider; ``secret_state``: whether
    the gateway has a value of its secret, null if it has none; ``requests``: null while Redis is
    away; a list has it on request, and the answer to a change has not."""

    in_force: SourceTemplates
    secret_state: Literal["present", "missing"] | None
    requests: NotRequired[SourceRequestCounts | None]


class SourceExample(TypedDict):
    """A request as a provider sends it, without what verifies it."""

    headers: dict[str, str]
    body: str


class SourceType(TypedDict):
    """A provider. ``required`` and ``optional``: the settings of its sources, others are refused;
    ``timed``: whether its requests have a signed time, to which ``tolerance`` applies, by default
    as this says; ``event``: its templates."""

    type: str
    title: str
    required: list[str]
    optional: list[str]
    timed: bool
    tolerance: Duration | None
    event: SourceTemplates
    example: SourceExample


class SourceTypes(TypedDict):
    """The providers that there are."""

    items: list[SourceType]


class ChangedSource(SourceAnswer):
    """A source after a change."""

    warnings: list[Warned]


class SourceTrial(TypedDict):
    """The result of trying a request to a source. ``verified``: whether the provider has sent it,
    null where the gateway has tried its own example; ``reason`` and ``detail``: why the gateway
    would refuse it; ``events``: the events that it would publish; ``answer``: the body of its
    answer to a request that makes no event."""

    verified: bool | None
    reason: str | None
    detail: str | None
    answer: str | None
    events: list[CloudEvent]


class SourceTaken(TypedDict):
    """How many events of a request the log has taken, and how many it had already."""

    accepted: int
    duplicates: int
