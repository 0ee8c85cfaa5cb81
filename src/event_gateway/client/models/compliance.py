"""The types of bodies and answers of the tag `compliance`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TypedDict

from event_gateway.client.models.shared import CloudEvent, HoldAnswer

__all__ = [
    "AnchorAnswer",
    "AppendOnly",
    "ChainAnswer",
    "Holds",
    "OpenedEvent",
    "PlaceHoldBody",
    "RedactBody",
    "Redaction",
    "StampAnchorBody",
    "StampAnswer",
    "Stamps",
]


class AnchorAnswer(TypedDict):
    """A signed statement of how far the chain of a stream went, and which link it had there."""

    stream: str
    sequence: int
    link: str
    time: str
    statement: str
    signature: str
    public_key: str
    digest: str


class AppendOnly(TypedDict):
    """Whether a compliance stream can only grow, as far as the gateway's own user may tell."""

    holds: bool
    allowed: list[str]
    settings: list[str]


class ChainAnswer(TypedDict):
    """How far the hash chain of a compliance stream is. `lag`: messages that have no record
    yet; `public_key`: that of the next anchors, null if there is no key."""

    stream: str
    last_seq: int
    chained_to: int
    lag: int
    link: str | None
    problem: str | None
    anchor: AnchorAnswer | None
    public_key: str | None
    append_only: AppendOnly


class Holds(TypedDict):
    """The legal holds on a stream."""

    items: list[HoldAnswer]


class OpenedEvent(TypedDict):
    """An event of a compliance stream as it was published; `redacted`: without its data."""

    seq: int
    time: str
    redacted: bool
    event: CloudEvent


class PlaceHoldBody(TypedDict):
    """PlaceHoldBody."""

    reason: str


class RedactBody(TypedDict):
    """RedactBody."""

    subject: str


class Redaction(TypedDict):
    """Whether the data about a person was redacted; false if there was no key of that person."""

    stream: str
    erased: bool
    erased_at: str | None


class StampAnchorBody(TypedDict):
    """StampAnchorBody."""

    kind: str
    value: str


class StampAnswer(TypedDict):
    """What somebody outside confirms of an anchor; `value` in base64, as its issuer made it."""

    sequence: int
    kind: str
    value: str
    time: str


class Stamps(TypedDict):
    """The stamps of an anchor."""

    items: list[StampAnswer]
