"""Named streams: the part of the log that is stored under a name for live subscribers."""

import itertools

import msgspec

from event_gateway.core.cloudevents.reserved_types import LIFECYCLE_ROOTS, is_lifecycle
from event_gateway.core.cloudevents.type_subject import log_subjects
from event_gateway.core.errors import InvalidDefinition
from event_gateway.core.matching.path import parse_path
from event_gateway.core.matching.pattern import check_pattern, overlaps
from event_gateway.core.text.identifier import ID
from event_gateway.core.text.units import format_duration

EVENTS = "GATEWAY_EVENTS"  # the gateway's own log
LIFECYCLE = "GATEWAY_LIFECYCLE"  # the log of the gateway's lifecycle events
LIFECYCLE_RETENTION = 86400.0  # seconds for which that log stores them
LIFECYCLE_SUBJECTS = tuple(f"{root}.>" for root in LIFECYCLE_ROOTS)
MAX_SUBJECTS = 64
MAX_REPLICAS = 5
COMPRESSIONS = ("s2", "none")
LIMITS = ("retention", "max_messages", "max_bytes")
MAX_HOLDS = 100
MAX_LIMIT = 2**63 - 1  # what JetStream counts to


class StreamContents(msgspec.Struct, frozen=True):
    """What a named stream stores. ``first_time``: of its oldest event, in seconds (epoch)."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    first_time: float | None = None


class Hold(msgspec.Struct, frozen=True):
    """A legal hold: while a stream has one, no event leaves it. ``placed_at`` in seconds (epoch),
    ``placed_by``: the name of the principal."""

    id: str
    reason: str
    placed_at: float
    placed_by: str = ""


class Limits(msgspec.Struct, frozen=True):
    """At which the oldest events leave a stream: seconds, messages, bytes; None: no limit."""

    retention: float | None = None
    max_messages: int | None = None
    max_bytes: int | None = None


class StreamDefinition(msgspec.Struct, frozen=True):
    """A named stream. ``retention`` in seconds; None: events stay while the other limits allow."""

    name: str
    subjects: tuple[str, ...]
    retention: float | None = None
    max_messages: int | None = None
    max_bytes: int | None = None
    compliance: bool = False
    managed_by: str = "file"
    created_at: float = 0.0
    deleting: bool = False
    compression: str = "s2"
    replicas: int | None = None  # None: as many as the gateway's other streams have
    holds: tuple[Hold, ...] = ()
    sealed_by: str | None = None  # the path of whom an event is about; None: nothing is sealed

    def check(self) -> None:
        """Raises InvalidDefinition naming the key that is wrong."""
        if ID.fullmatch(self.name) is None:
            raise InvalidDefinition("name", f"{self.name!r} is not of the form {ID.pattern}")
        if not self.subjects:
            raise InvalidDefinition("subjects", "a stream needs at least one subject")
        if len(self.subjects) > MAX_SUBJECTS:
            raise InvalidDefinition("subjects", f"a stream has at most {MAX_SUBJECTS} subjects")
        for subject in self.subjects:
            if check_pattern(subject, "subjects")[0] in ("*", ">"):
                raise InvalidDefinition(
                    "subjects", f"{subject!r} begins with a wildcard; name the first token"
                )
        for subject, other in itertools.combinations(self.subjects, 2):
            if (reason := _overlap(subject, other)) is not None:
                raise InvalidDefinition("subjects", reason)
        if self.retention is not None and self.retention < 1:
            raise InvalidDefinition("retention", "must be at least 1s")
        for key in ("max_messages", "max_bytes"):
            if (getattr(self, key) or 0) > MAX_LIMIT:
                raise InvalidDefinition(key, f"must be at most {MAX_LIMIT}")
        if self.sealed_by is not None:
            parse_path(self.sealed_by, "sealed_by")
            if "[*]" in self.sealed_by:
                raise InvalidDefinition("sealed_by", "must lead to one value, without [*]")
            if not self.compliance or self.of_lifecycle:
                raise InvalidDefinition("sealed_by", "is for streams of events with compliance")
        if self.compression not in COMPRESSIONS:
            raise InvalidDefinition("compression", f"must be one of {', '.join(COMPRESSIONS)}")
        if self.replicas is not None and not 1 <= self.replicas <= MAX_REPLICAS:
            raise InvalidDefinition("replicas", f"must be 1 to {MAX_REPLICAS}")
        if len({is_lifecycle(subject) for subject in self.subjects}) > 1:
            raise InvalidDefinition(
                "subjects",
                "lifecycle events (webhook. stream. gateway.) need a stream of their own",
            )

    def change_refusal(self, former: "StreamDefinition") -> str | None:
        """Why this definition cannot replace ``former``; None where it can."""
        if self.of_lifecycle != former.of_lifecycle:
            return "a stream cannot change between events and lifecycle events"
        if self.sealed_by != former.sealed_by:
            return "sealed_by cannot be changed: create another stream"
        if not former.compliance:
            return None
        if not self.compliance:
            return "compliance cannot be turned off"
        for key in self.tightened_limits(former):
            return f"the stream stores records for compliance: {key} cannot be lowered"
        return None

    def tightened_limits(self, former: "StreamDefinition") -> list[str]:
        """The limits that are tighter than those of ``former``."""
        return [key for key in LIMITS if _narrower(getattr(self, key), getattr(former, key))]

    def would_drop(
        self, former: "StreamDefinition", contents: StreamContents, now: float
    ) -> str | None:
        """Which limit, tighter than that of ``former``, would drop stored events, as text for
        users; None where none would."""
        tightened = () if self.holds else self.tightened_limits(former)
        if "max_messages" in tightened and contents.messages > (self.max_messages or 0):
            return (
                f"max_messages {self.max_messages} is less than the {contents.messages} that it has"
            )
        if "max_bytes" in tightened and contents.bytes > (self.max_bytes or 0):
            return f"max_bytes {self.max_bytes} is less than the {contents.bytes} that it has"
        if (
            "retention" in tightened
            and self.retention is not None
            and contents.first_time is not None
            and contents.first_time < now - self.retention
        ):
            oldest = format_duration(round(now - contents.first_time))
            return f"its oldest event is {oldest} old, more than {format_duration(self.retention)}"
        return None

    @property
    def limits(self) -> Limits:
        """The limits in force: none while there is a legal hold."""
        if self.holds:
            return Limits()
        return Limits(self.retention, self.max_messages, self.max_bytes)

    @property
    def held_since(self) -> float | None:
        """When the oldest of its legal holds was placed (epoch); None if it has none."""
        return min((hold.placed_at for hold in self.holds), default=None)

    @property
    def of_lifecycle(self) -> bool:
        """Whether it keeps the gateway's own lifecycle events."""
        return is_lifecycle(self.subjects[0])


def _overlap(subject: str, other: str) -> str | None:
    """Why JetStream would refuse these two subjects in one stream; None if it would not."""
    if overlaps(subject, other):
        return f"{subject!r} and {other!r} overlap; keep the wider one"
    for first in log_subjects(subject):
        for second in log_subjects(other):
            if overlaps(first, second):
                return (
                    f"{subject!r} and {other!r} overlap: the stream also takes {first!r} and "
                    f"{second!r} from the log, where types are percent-encoded, and those that no "
                    "captured subject matches lie below events.; keep the wider one"
                )
    return None


def _narrower(limit: float | None, former: float | None) -> bool:
    return limit is not None and (former is None or limit < former)
