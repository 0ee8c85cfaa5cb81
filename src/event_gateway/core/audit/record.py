"""A record of the audit log."""

from typing import Literal

import msgspec

from event_gateway.core.access.principal import Principal

FORMAT = 1
MAX_TEXT = 256  # characters of a name or an id, and of each item that narrows a caller
MAX_ITEMS = 64  # of each list that narrows a caller; a longer one ends with MORE
MORE = "…"

Phase = Literal["begun", "ended", "refused"]
Outcome = Literal["succeeded", "refused", "failed", "unknown"]


# JSON of some members of a resource. msgspec reads no ``Raw | None``.
Members = msgspec.Raw | msgspec.UnsetType


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who made a change. ``method`` is how a caller has proved itself, ``file`` for the
    configuration file, ``gateway`` for the gateway itself; ``id`` is that of a key, the subject of
    a token, or a process. The other fields narrow what the caller may do; None: they do not."""

    name: str
    method: str
    id: str
    namespaces: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the audit log stores as JSON.

    A change has two records of the same ``call``: ``begun`` is stored before the change, ``ended``
    after it. A call that was refused before it could change anything has one, ``refused``.
    ``number`` counts the records of a ``process`` from 1, and ``previous`` is the SHA-256 of the
    stored bytes of the record before (:mod:`.chain`). ``began`` and ``time`` are RFC 3339.
    ``status`` is the HTTP status of the answer. ``before`` and ``after`` show the members of the
    resource that the change has changed, without secrets. ``unrecorded``: how many refused calls
    came since the record before and were too many to be recorded.
    """

    v: int
    call: str
    phase: Phase
    time: str
    process: str
    number: int
    previous: str = ""
    operation: str
    resource: str = ""
    principal: Who | None = None
    client: str = ""
    request_id: str = ""
    began: str = ""
    outcome: Outcome | None = None
    status: int | None = None
    before: Members = msgspec.UNSET
    after: Members = msgspec.UNSET
    unrecorded: int = 0


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditRecord).decode


def decode(data: bytes) -> AuditRecord | None:
    """A stored record; None if the bytes are none of this format."""
    try:
        record = _decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    return record if record.v == FORMAT else None


class _Begun(msgspec.Struct, frozen=True):
    v: int
    call: str


_decode_begun = msgspec.json.Decoder(_Begun).decode


def begun_call(data: bytes) -> str:
    """The call of a stored record, of which nothing else is read; empty if the bytes are none of
    this format."""
    try:
        record = _decode_begun(data)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return record.call if record.v == FORMAT else ""


def who(principal: Principal) -> Who:
    """A caller as records name it."""
    return Who(
        name=principal.name[:MAX_TEXT],
        method=principal.method,
        id=principal.id[:MAX_TEXT],
        namespaces=_bounded(principal.namespaces),
        types=_bounded(principal.types),
        streams=_bounded(principal.streams),
    )


def _bounded(limit: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """NATS refuses a record that is larger than a message may be, and all that come after it."""
    if limit is None:
        return None
    shown = tuple(item[:MAX_TEXT] for item in limit[:MAX_ITEMS])
    return (*shown, MORE) if len(limit) > MAX_ITEMS else shown


def outcome_of(status: int) -> Outcome:
    """What became of a call, by the status of its answer."""
    if status < 400:
        return "succeeded"
    return "refused" if status < 500 else "failed"
