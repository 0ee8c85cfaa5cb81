"""Answers about the audit log."""

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from event_gateway.api.answers.common import Json, Time


class WhoAnswer(TypedDict):
    """Who made a change. ``method``: how a caller has proved itself; ``file``: the configuration
    file, ``gateway``: the gateway itself. The others narrow what the caller may do."""

    name: str
    method: str
    id: str
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None


class AuditedCall(TypedDict):
    """A call that changed something, or was refused. ``unknown``: it is going on, or its process
    ended before it had; ``unreadable``: the record is none of the gateway's, and has ``seq`` and
    ``time`` only. ``unrecorded``: refused calls before this one that were too many to record."""

    seq: int
    time: Time
    outcome: Literal["succeeded", "refused", "failed", "unknown", "unreadable"]
    id: NotRequired[str]
    ended_at: NotRequired[Time | None]
    principal: NotRequired[WhoAnswer | None]
    client: NotRequired[str | None]
    request_id: NotRequired[str | None]
    operation: NotRequired[str]
    resource: NotRequired[str | None]
    status: NotRequired[int | None]
    before: NotRequired[Json]
    after: NotRequired[Json]
    unrecorded: NotRequired[int]
    process: NotRequired[str]
    number: NotRequired[int]
