"""What scripts take as arrays: the order of the fields here is their order in Lua.

Python packs these with msgpack; in Lua ``CHANGE_TOKEN`` is the index of ``token`` in
:class:`Change`, as :mod:`event_gateway.state.scripts` generates it: the two cannot disagree. Times
are in ms of Redis' clock, durations in ms. Lua's msgpack knows no binary type: texts are ``str``.
"""

from typing import NamedTuple

import msgspec


class Change(msgspec.Struct, array_like=True):
    """The newest state of a delivery, for ``ledger/write.lua``.

    ``wait``: until it is due (in progress: until its lease ends); None: it is not in the queue.
    ``tried``, ``succeeded``: attempts that ended since the last write. ``event_at``: when its event
    came into the log. ``next_attempt``: until a delivery outside the queue is attempted again.
    ``responses``: what the receiver responded to the latest attempts. ``letter``: position of its
    dead letter, 0: none. ``event_id``: the event's id in full where ``member`` is not, else empty.
    """

    webhook: str
    member: str
    source: str
    source_hash: str
    stream: str
    seq: int
    run: int
    token: str
    status: str
    attempts: int
    last_error: str
    log: str
    wait: int | None
    fresh: bool
    tried: int
    succeeded: int
    event_at: int
    next_attempt: int | None
    responses: str
    letter: int
    event_id: str


class LaneChange(msgspec.Struct, array_like=True):
    """What has changed of a webhook's lane, for ``ledger/write.lua``, which lists what ``what``
    may be."""

    webhook: str
    what: str
    wait: int
    token: str


class Lookup(msgspec.Struct, array_like=True):
    """A delivery whose record is looked for, for ``ledger/lookup.lua``."""

    webhook: str
    member: str
    source: str
    source_hash: str
    seq: int


class Limit(NamedTuple):
    """At most this many ``attempts`` may start within ``period`` ms."""

    attempts: int
    period: int


class LeaseRequest(msgspec.Struct, array_like=True):
    """What a process has room for: up to ``count`` deliveries of a webhook, leased for ``lease``
    ms, or ``probe_lease`` where it is the circuit breaker's probe."""

    webhook_id: str
    count: int
    lease: int
    probe_lease: int
    limits: tuple[Limit, ...] = ()


class PackedRun(msgspec.Struct, array_like=True):
    """A delivery to start again, for ``runs/start.lua``.

    ``runs_from``: from when its time runs; ``latest``: its deadline, whatever its webhook says.
    ``letter``: position of the dead letter that it is started from, 0: none; ``once``: 1 where that
    must not have been used before. ``ordered``: 1 where its webhook is.
    """

    webhook: str
    member: str
    source: str
    source_hash: str
    stream: str
    seq: int
    runs_from: int
    letter: int
    latest: int
    once: int
    ordered: int


class ReplayStep(msgspec.Struct, frozen=True, array_like=True):
    """How far a replay has come, written together with the runs that it starts.

    ``lease``: ms for which this process goes on to run it; ``depths_of``: the webhooks of whose
    queues the greatest depth is answered.
    """

    position: int
    first: int
    looked: int
    matched: int
    left_out: int
    lease: int
    depths_of: tuple[str, ...]


class CachedEvent(msgspec.Struct, array_like=True):
    """An event for ``events/remember.lua``. ``item``: what is answered of it later; one with an
    empty one is not remembered. ``at``: when the log took it, in us."""

    id: str
    source: str
    source_hash: str
    type: str
    time: str
    subject: str
    correlation: str
    causation: str
    seq: int
    item: str
    at: int


class LeasedRecord(NamedTuple):
    """The fields of a record that a process needs to deliver, as Redis answers them."""

    source: bytes
    stream: bytes
    seq: bytes
    run: bytes
    log: bytes
    status: bytes
    v: bytes
    event_at: bytes | int | None
    repeats: bytes | None
    letter: bytes | None
    latest: bytes | None


class ListedRecord(NamedTuple):
    """The fields of a record that a list of deliveries shows, as Redis answers them."""

    v: bytes
    source: bytes
    status: bytes
    timestamp: bytes
    attempts: bytes
    last_error: bytes
    next_attempt_at: bytes
    stream: bytes
    seq: bytes
    run: bytes
    repeats: bytes | None


# By the name in Lua: the fields in their order.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "CHANGE": Change.__struct_fields__,
    "LANE_CHANGE": LaneChange.__struct_fields__,
    "LOOKUP": Lookup.__struct_fields__,
    "LIMIT": Limit._fields,
    "LEASE_REQUEST": LeaseRequest.__struct_fields__,
    "NEW_RUN": PackedRun.__struct_fields__,
    "REPLAY_STEP": ReplayStep.__struct_fields__,
    "CACHED_EVENT": CachedEvent.__struct_fields__,
    "LEASED": LeasedRecord._fields,
    "LISTED": ListedRecord._fields,
}
