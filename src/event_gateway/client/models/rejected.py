"""The types of bodies and answers of the tag `rejected`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

__all__ = ["RejectedAnswer", "Taken"]


class RejectedAnswer(TypedDict):
    """Input that is no valid event, with its original bytes in `data` or `data_base64`."""

    seq: int
    time: str
    reason: str
    detail: str
    path: str | None
    source: str | None
    subject: str
    stream: str
    sequence: int
    headers: Any
    cut: int | None
    data: NotRequired[str]
    data_base64: NotRequired[str]


class Taken(TypedDict):
    """The sequence at which the log now has the input."""

    sequence: int
