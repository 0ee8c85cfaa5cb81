"""The types of bodies and answers of the tag `replays`.

Generated from the OpenAPI document by ``make docs``; do not change it by hand.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = ["CreateReplayBody"]


class CreateReplayBody(TypedDict):
    """CreateReplayBody."""

    webhook: str
    since: NotRequired[str | None]
    until: NotRequired[str | None]
    from_seq: NotRequired[int | None]
    until_seq: NotRequired[int | None]
    stream: NotRequired[str]
    types: NotRequired[list[str]]
    dry_run: NotRequired[bool]
