"""Named streams: what of the log is kept under a name for live subscribers."""

import re

import msgspec

from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.pattern import check_pattern, overlaps

EVENTS = "GATEWAY_EVENTS"  # the gateway's own log
LIFECYCLE_SUBJECTS = ("webhook.>", "stream.>", "gateway.>")
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StreamDefinition(msgspec.Struct, frozen=True):
    """A named stream. ``retention`` in seconds; None: as long as the other limits allow."""

    name: str
    subjects: tuple[str, ...]
    retention: float | None = None
    max_messages: int | None = None
    max_bytes: int | None = None
    compliance: bool = False
    managed_by: str = "file"

    def check(self) -> None:
        """Raises InvalidDefinition naming the key that is wrong."""
        if ID.fullmatch(self.name) is None:
            raise InvalidDefinition("name", f"{self.name!r} is not of the form {ID.pattern}")
        if not self.subjects:
            raise InvalidDefinition("subjects", "a stream needs at least one subject")
        for subject in self.subjects:
            check_pattern(subject, "subjects")
        if len({_is_lifecycle(subject) for subject in self.subjects}) > 1:
            raise InvalidDefinition(
                "subjects",
                "lifecycle events (webhook. stream. gateway.) need a stream of their own",
            )

    @property
    def of_lifecycle(self) -> bool:
        """Whether it keeps the gateway's own lifecycle events."""
        return _is_lifecycle(self.subjects[0])


def _is_lifecycle(subject: str) -> bool:
    return any(overlaps(subject, own) for own in LIFECYCLE_SUBJECTS)


class Subscription(msgspec.Struct, frozen=True):
    """A live subscriber of a named stream, as it is shown to operators."""

    id: str
    stream: str
    principal: str
    since: float
    start: str
