"""What comes of requests to a source, counted."""

import msgspec

# Outcomes of requests that were no refusals: events that are new, events that the log had already,
# and challenges or confirmations.
TAKEN = frozenset(("accepted", "duplicate", "answered"))
UNREACHABLE = "unreachable"  # of a request that could not be verified now


class LatestRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """The latest request that was refused. ``at``: RFC 3339; ``reason``: its outcome."""

    at: str
    reason: str
    detail: str


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    """``since``: when the first was counted, and ``taken_at``: when the latest was taken, both
    RFC 3339, None if there was none; ``outcomes``: how many by outcome, of which ``taken`` and
    ``refused`` are the sums."""

    since: str | None
    taken: int
    refused: int
    outcomes: dict[str, int]
    taken_at: str | None
    latest_refusal: LatestRefusal | None
