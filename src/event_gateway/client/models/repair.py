"""The types of bodies and answers of the tag `repair`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import TypedDict

__all__ = ["DecideRepairBody", "Reread"]


class DecideRepairBody(TypedDict):
    """DecideRepairBody."""

    reread: bool


class Reread(TypedDict):
    """The streams whose events are read again."""

    streams: list[str]
