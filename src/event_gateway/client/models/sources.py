"""The types of bodies and answers of the tag `sources`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from event_gateway.client.models.shared import CloudEvent, Warned

__all__ = [
    "ChangeSourceBody",
    "ChangedSource",
    "CreateSourceBody",
    "ReplaceSourceBody",
    "SourceAnswer",
    "SourceEventModel",
    "SourceExample",
    "SourceRefusal",
    "SourceRequestCounts",
    "SourceTaken",
    "SourceTemplates",
    "SourceTrial",
    "SourceType",
    "SourceTypes",
    "TrySourceBody",
]


class ChangeSourceBody(TypedDict):
    """A source of the API: as in the configuration, with its name."""

    type: NotRequired[str | None]
    secret_name: NotRequired[str | None]
    header: NotRequired[str | None]
    query: NotRequired[str | None]
    algorithm: NotRequired[str | None]
    encoding: NotRequired[str | None]
    prefix: NotRequired[str | None]
    signed: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    username: NotRequired[str | None]
    public_key: NotRequired[str | None]
    url: NotRequired[str | None]
    topics: NotRequired[str | list[str] | None]
    issuer: NotRequired[str | None]
    audience: NotRequired[str | None]
    jwks_url: NotRequired[str | None]
    email: NotRequired[str | None]
    subject: NotRequired[str | None]
    dns: NotRequired[str | None]
    uri: NotRequired[str | None]
    event: NotRequired[SourceEventModel | None]
    tolerance: NotRequired[str | None]
    keep_refused: NotRequired[bool | None]
    enabled: NotRequired[bool | None]
    description: NotRequired[str | None]
    name: NotRequired[str | None]
    managed_by: NotRequired[Any | None]
    owner: NotRequired[Any | None]
    created_at: NotRequired[Any | None]
    state: NotRequired[Any | None]
    disabled: NotRequired[Any | None]
    verification: NotRequired[Any | None]
    expression_errors: NotRequired[Any | None]
    rate: NotRequired[Any | None]
    subscribers: NotRequired[Any | None]
    warnings: NotRequired[Any | None]
    holds: NotRequired[Any | None]
    in_force: NotRequired[Any | None]
    secret_state: NotRequired[Any | None]
    requests: NotRequired[Any | None]


class ChangedSource(TypedDict):
    """A source after a change."""

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
    tolerance: str | None
    keep_refused: bool
    enabled: bool
    description: str
    managed_by: str
    created_at: str
    in_force: SourceTemplates
    secret_state: Literal["present", "missing"] | None
    requests: NotRequired[SourceRequestCounts | None]
    warnings: list[Warned]


class CreateSourceBody(TypedDict):
    """A source of the API: as in the configuration, with its name."""

    type: str
    secret_name: NotRequired[str | None]
    header: NotRequired[str | None]
    query: NotRequired[str | None]
    algorithm: NotRequired[str | None]
    encoding: NotRequired[str | None]
    prefix: NotRequired[str | None]
    signed: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    username: NotRequired[str | None]
    public_key: NotRequired[str | None]
    url: NotRequired[str | None]
    topics: NotRequired[str | list[str] | None]
    issuer: NotRequired[str | None]
    audience: NotRequired[str | None]
    jwks_url: NotRequired[str | None]
    email: NotRequired[str | None]
    subject: NotRequired[str | None]
    dns: NotRequired[str | None]
    uri: NotRequired[str | None]
    event: NotRequired[SourceEventModel]
    tolerance: NotRequired[str | None]
    keep_refused: NotRequired[bool]
    enabled: NotRequired[bool]
    description: NotRequired[str | None]
    name: str
    managed_by: NotRequired[Any]
    owner: NotRequired[Any]
    created_at: NotRequired[Any]
    state: NotRequired[Any]
    disabled: NotRequired[Any]
    verification: NotRequired[Any]
    expression_errors: NotRequired[Any]
    rate: NotRequired[Any]
    subscribers: NotRequired[Any]
    warnings: NotRequired[Any]
    holds: NotRequired[Any]
    in_force: NotRequired[Any]
    secret_state: NotRequired[Any]
    requests: NotRequired[Any]


class ReplaceSourceBody(TypedDict):
    """A source of the API: as in the configuration, with its name."""

    type: str
    secret_name: NotRequired[str | None]
    header: NotRequired[str | None]
    query: NotRequired[str | None]
    algorithm: NotRequired[str | None]
    encoding: NotRequired[str | None]
    prefix: NotRequired[str | None]
    signed: NotRequired[str | None]
    timestamp: NotRequired[str | None]
    username: NotRequired[str | None]
    public_key: NotRequired[str | None]
    url: NotRequired[str | None]
    topics: NotRequired[str | list[str] | None]
    issuer: NotRequired[str | None]
    audience: NotRequired[str | None]
    jwks_url: NotRequired[str | None]
    email: NotRequired[str | None]
    subject: NotRequired[str | None]
    dns: NotRequired[str | None]
    uri: NotRequired[str | None]
    event: NotRequired[SourceEventModel]
    tolerance: NotRequired[str | None]
    keep_refused: NotRequired[bool]
    enabled: NotRequired[bool]
    description: NotRequired[str | None]
    name: NotRequired[str]
    managed_by: NotRequired[Any]
    owner: NotRequired[Any]
    created_at: NotRequired[Any]
    state: NotRequired[Any]
    disabled: NotRequired[Any]
    verification: NotRequired[Any]
    expression_errors: NotRequired[Any]
    rate: NotRequired[Any]
    subscribers: NotRequired[Any]
    warnings: NotRequired[Any]
    holds: NotRequired[Any]
    in_force: NotRequired[Any]
    secret_state: NotRequired[Any]
    requests: NotRequired[Any]


class SourceAnswer(TypedDict):
    """A source. `in_force`: all templates, also those of its provider; `secret_state`: whether
    the gateway has a value of its secret, null if it has none; `requests`: null while Redis
    is away; a list has it on request, and the answer to a change has not."""

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
    tolerance: str | None
    keep_refused: bool
    enabled: bool
    description: str
    managed_by: str
    created_at: str
    in_force: SourceTemplates
    secret_state: Literal["present", "missing"] | None
    requests: NotRequired[SourceRequestCounts | None]


class SourceEventModel(TypedDict):
    """Templates of the attributes of the events. Default: those of the provider. In a
    template, `{header-name}` is a header of the request, `{body.a.b}` a member of its body,
    `{query.a}` a parameter of its query string, `{name}` the name of the source, `{digest}`
    the SHA-256 of the body, `{'text'}` a constant text, and `{a|b}` the first of several
    that has a value."""

    type: NotRequired[str | None]
    subject: NotRequired[str | None]
    id: NotRequired[str | None]
    time: NotRequired[str | None]
    source: NotRequired[str | None]


class SourceExample(TypedDict):
    """A request as a provider sends it, without what verifies it."""

    headers: dict[str, str]
    body: str


class SourceRefusal(TypedDict):
    """A refused request. `reason`: its outcome."""

    at: str
    reason: str
    detail: str


class SourceRequestCounts(TypedDict):
    """Requests to a source since it was registered, over all processes. `since`: when the
    first was counted, and `taken_at`: when the latest was taken, null if there was none;
    `outcomes`: how many had each outcome, of which `taken` and `refused` are the sums."""

    since: str | None
    taken: int
    refused: int
    outcomes: dict[str, int]
    taken_at: str | None
    latest_refusal: SourceRefusal | None


class SourceTaken(TypedDict):
    """How many events of a request the log has taken, and how many it had already."""

    accepted: int
    duplicates: int


class SourceTemplates(TypedDict):
    """Templates of an event's attributes."""

    type: NotRequired[str]
    subject: NotRequired[str]
    id: NotRequired[str]
    time: NotRequired[str]
    source: NotRequired[str]


class SourceTrial(TypedDict):
    """The result of trying a request to a source. `verified`: whether the provider has sent
    it, null where the gateway has tried its own example; `reason` and `detail`: why the
    gateway would refuse it; `events`: the events that it would publish; `answer`: the body
    of its answer to a request that makes no event."""

    verified: bool | None
    reason: str | None
    detail: str | None
    answer: str | None
    events: list[CloudEvent]


class SourceType(TypedDict):
    """A provider. `required` and `optional`: the settings of its sources, others are refused;
    `timed`: whether its requests have a signed time, to which `tolerance` applies, by
    default as this says; `event`: its templates."""

    type: str
    title: str
    required: list[str]
    optional: list[str]
    timed: bool
    tolerance: str | None
    event: SourceTemplates
    example: SourceExample


class SourceTypes(TypedDict):
    """The providers that there are."""

    items: list[SourceType]


class TrySourceBody(TypedDict):
    """A request to try. `path`: with its query string; `received_at`: when it came (RFC 3339),
    by default now."""

    headers: NotRequired[dict[str, str]]
    body: NotRequired[str]
    body_base64: NotRequired[str | None]
    path: NotRequired[str | None]
    received_at: NotRequired[str | None]
