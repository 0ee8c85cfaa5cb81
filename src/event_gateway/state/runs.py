"""Deliveries that are begun anew, hurried or cancelled on request."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state.ledger import Ledger
from event_gateway.state.records import FORMAT, member_of, source_hash
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class NewRun(msgspec.Struct, frozen=True):
    """A delivery to begin anew.

    ``runs_from``: from when its time runs, ``latest``: when it ends at the latest, in seconds since
    the epoch. ``letter``: the place of the dead letter that is repeated, 0 where it is none;
    ``once``: not where that was repeated before. ``ordered``: its webhook is.
    """

    webhook_id: str
    event_id: str
    source: str
    stream: str
    seq: int
    runs_from: float
    latest: float
    letter: int = 0
    once: bool = False
    ordered: bool = False


class ReplayStep(msgspec.Struct, frozen=True, array_like=True):
    """How far a replay has come, to be written with what it queues; see Progress.

    ``hold``: ms for which this process goes on to have it; ``depths_of``: the webhooks of which the
    greatest depth is wanted.
    """

    position: int
    first: int
    looked: int
    matched: int
    left_out: int
    hold: int
    depths_of: tuple[str, ...]


class ChangeResult(msgspec.Struct, frozen=True):
    """What was done on request, or why not.

    ``hurried``, ``cancelled``; ``anew``: it has ended, and is to be begun anew with ``stream``,
    ``seq`` and ``letter``; ``ended``; ``held``: an attempt runs or is about to; ``in_order``: an
    ordered webhook's, which go in their turn; ``none``: it is not known; ``newer``.
    """

    what: str
    status: str
    source: str = ""
    stream: str = ""
    seq: int = 0
    letter: int = 0


class Runs:
    """``marked``: seconds for which it is known which dead letters were repeated.

    Its methods raise what StateError names.
    """

    def __init__(self, client: Redis, ledger: Ledger, marked: float, prefix: str = "") -> None:
        self._client = client
        self._ledger = ledger
        self._prefix = prefix
        self.marked = marked
        self._repeat = script(client, "lane.lua", "repeat.lua")
        self._lent = script(client, "lent.lua")
        self._one = script(client, "lane.lua", "one.lua")

    async def begin(
        self,
        repeats: Sequence[NewRun],
        asks: str,
        replay: str = "",
        holder: str = "",
        far: ReplayStep | None = None,
    ) -> tuple[str, int, list[str]]:
        """Queues deliveries anew, at most MAX_RECORDS, and notes how far the replay has come.

        ``asks`` names what asks for it. Gives the replay's state (``lost``: another process has
        it), the greatest depth, and what became of each: ``queued``, ``waiting`` (on its way
        anyhow), ``done`` (by this replay) or ``newer``.
        """
        items = [
            (
                one.webhook_id, member_of(one.event_id), one.source, source_hash(one.source),
                one.stream, one.seq, round(one.runs_from * 1000), one.letter,
                round(one.latest * 1000), int(one.once), int(one.ordered),
            )
            for one in repeats
        ]  # fmt: skip
        state, depth, codes = await self._repeat(
            keys=[self._prefix],
            args=[_pack(items), FORMAT, asks, round(self.marked * 1000), replay, holder,
                  _pack(far) if far else b""],
        )  # fmt: skip
        return state.decode(), int(depth), [code.decode() for code in codes]

    async def change(
        self, webhook_id: str, event_id: str, source: str | None, what: str, reason: str = ""
    ) -> ChangeResult:
        """Does to one delivery what is asked for: ``retry`` or ``cancel``."""
        hashed = "" if source is None else source_hash(source)
        answer = await self._one(
            keys=[self._prefix],
            args=[webhook_id, member_of(event_id), source or "", hashed, what, reason,
                  round(self._ledger.keep * 1000), FORMAT],
        )  # fmt: skip
        said = [one.decode() for one in answer]
        if len(said) == 2:
            return ChangeResult(*said)
        done, status, event_source, stream, seq, letter = said
        return ChangeResult(done, status, event_source, stream, int(seq), int(letter))

    async def lent(self, webhook_id: str | None) -> int | None:
        """The place of a dead letter (of a webhook) that a delivery may still need, if any."""
        if webhook_id is None:
            members = await cast(Any, self._client.smembers(f"{self._prefix}lenders"))
            webhooks = [one.decode() for one in members]
        else:
            webhooks = [webhook_id]
        for one in webhooks:
            while True:
                places = await self._lent(keys=[self._prefix], args=[one, 1])
                if places:
                    return int(places[0])
                if not await self._client.exists(f"{self._prefix}lent:{one}"):
                    break
        return None

    async def marks(self, webhook_id: str, places: Sequence[int]) -> list[float | None]:
        """When each of these dead letters was repeated last, in seconds since the epoch."""
        if not places:
            return []
        key = f"{self._prefix}repeated:{webhook_id}"
        scores = await self._client.zmscore(key, [str(place) for place in places])
        return [None if score is None else score / 1000 for score in scores]
