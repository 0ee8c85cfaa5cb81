"""The types of bodies and answers of the tag `audit log`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

__all__ = ["AuditedCall", "WhoAnswer"]


class AuditedCall(TypedDict):
    """A call that changed something, or was refused. The outcome is `unknown` while the call
    is running, and if its process ended before the call did; `unreadable` if the gateway
    did not write the record, which then has `seq` and `time` only. `unrecorded`: how many
    refused calls before this one were not recorded, as there were too many."""

    seq: int
    time: str
    outcome: Literal["succeeded", "refused", "failed", "unknown", "unreadable"]
    id: NotRequired[str]
    ended_at: NotRequired[str | None]
    principal: NotRequired[WhoAnswer | None]
    client: NotRequired[str | None]
    request_id: NotRequired[str | None]
    operation: NotRequired[str]
    resource: NotRequired[str | None]
    status: NotRequired[int | None]
    before: NotRequired[Any]
    after: NotRequired[Any]
    unrecorded: NotRequired[int]
    process: NotRequired[str]
    number: NotRequired[int]


class WhoAnswer(TypedDict):
    """Who made a change. `method`: how a caller has proved itself; `file`: the configuration
    file, `gateway`: the gateway itself. The others narrow what the caller may do."""

    name: str
    method: str
    id: str
    namespaces: list[str] | None
    types: list[str] | None
    streams: list[str] | None
