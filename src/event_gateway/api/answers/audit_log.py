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
    """A call that changed something, or was refused. The outcome is ``unknown`` while the call is
    running, and if its process ended before the call did; ``unreadable`` if the gateway did not
    write the record, which then has ``seq`` and ``time`` only. ``unrecorded``: how many refused
    calls before this one were not recorded, as there were too many."""

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
