"""New runs of deliveries, and deliveries that are retried at once or cancelled, on request."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import LENDERS, LENT, REPEATED
from event_gateway.state.ledger import Ledger
from event_gateway.state.records import FORMAT, member_of, source_hash
from event_gateway.state.script_arguments import PackedRun, ReplayStep
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class NewRun(msgspec.Struct, frozen=True):
    """A delivery of which a new run is to start.

    ``runs_from``: from when its time runs, ``latest``: its deadline, whatever its webhook says;
    both in seconds since the epoch. ``letter``: the position of the dead letter that it is started
    from, 0: none; ``once``: not where that dead letter was delivered again before. ``ordered``: its
    webhook is.
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


class ChangeResult(msgspec.Struct, frozen=True):
    """What was done to a delivery on request, or why nothing was.

    ``hurried``: its next attempt is due now; ``cancelled``; ``anew``: it has ended, and needs a new
    run, of ``stream``, ``seq`` and ``letter``; ``ended``; ``held``: a process attempts it or is
    about to; ``in_order``: its webhook is ordered, and it goes in its turn; ``none``: it has no
    record; ``newer``: its record is of a newer version of the gateway.
    """

    what: str
    status: str
    source: str = ""
    stream: str = ""
    seq: int = 0
    letter: int = 0


class Runs:
    """Starts runs. ``marked``: seconds for which it is known which dead letters were delivered
    again.

    Methods raise what StateError names.
    """

    def __init__(self, client: Redis, ledger: Ledger, marked: float) -> None:
        self._client = client
        self._ledger = ledger
        self.marked = marked
        self._start = script(client, "runs/start.lua")
        self._dead_letters_in_use = script(client, "runs/dead_letters_in_use.lua")
        self._retry_or_cancel = script(client, "deliveries/retry_or_cancel.lua")

    def set_dead_letter_retention(self, seconds: float) -> None:
        """Remembers for so long, from now on, which dead letters were delivered again."""
        self.marked = seconds

    async def begin(
        self,
        runs: Sequence[NewRun],
        asks: str,
        replay: str = "",
        holder: str = "",
        step: ReplayStep | None = None,
    ) -> tuple[str, int, list[str]]:
        """Queues new runs, at most MAX_RECORDS, and stores the progress of the replay with them.

        ``asks`` names what asks for them. Returns the replay's state (``lost``: another process
        runs it), the greatest depth of a queue, and the outcome of each run: ``queued``,
        ``waiting`` (the delivery has not ended, and goes on), ``done`` (by this replay) or
        ``newer``.
        """
        packed = [
            PackedRun(
                webhook=run.webhook_id, member=member_of(run.event_id), source=run.source,
                source_hash=source_hash(run.source), stream=run.stream, seq=run.seq,
                runs_from=round(run.runs_from * 1000), letter=run.letter,
                latest=round(run.latest * 1000), once=int(run.once), ordered=int(run.ordered),
            )
            for run in runs
        ]  # fmt: skip
        state, depth, codes = await self._start(
            _pack(packed), FORMAT, asks, round(self.marked * 1000), replay, holder,
            _pack(step) if step else b"",
        )  # fmt: skip
        return state.decode(), int(depth), [code.decode() for code in codes]

    async def change(
        self, webhook_id: str, event_id: str, source: str | None, what: str, reason: str = ""
    ) -> ChangeResult:
        """Retries or cancels one delivery; ``what``: ``retry`` or ``cancel``."""
        hashed = "" if source is None else source_hash(source)
        done, status, *more = await self._retry_or_cancel(
            webhook_id, member_of(event_id), source or "", hashed, what, reason,
            round(self._ledger.keep * 1000), FORMAT,
        )  # fmt: skip
        if not more:
            return ChangeResult(done.decode(), status.decode())
        event_source, stream, seq, letter = more
        return ChangeResult(
            done.decode(), status.decode(), event_source.decode(), stream.decode(), int(seq),
            int(letter),
        )  # fmt: skip

    async def dead_letter_in_use(self, webhook_id: str | None) -> int | None:
        """The position of a dead letter (of a webhook) that a delivery may still need; None: there
        is none."""
        if webhook_id is None:
            members = await cast(Any, self._client.smembers(LENDERS.key()))
            webhooks = [member.decode() for member in members]
        else:
            webhooks = [webhook_id]
        for webhook in webhooks:
            while True:
                positions = await self._dead_letters_in_use(webhook, 1)
                if positions:
                    return int(positions[0])
                if not await self._client.exists(LENT.key(webhook)):
                    break
        return None

    async def marks(self, webhook_id: str, places: Sequence[int]) -> list[float | None]:
        """When the dead letter at each position was last delivered again, in seconds since the
        epoch; None: it was not."""
        if not places:
            return []
        scores = await self._client.zmscore(
            REPEATED.key(webhook_id), [str(place) for place in places]
        )
        return [None if score is None else score / 1000 for score in scores]
