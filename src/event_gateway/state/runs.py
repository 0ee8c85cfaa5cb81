"""Starts new runs of deliveries; retries or cancels deliveries by hand."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from event_gateway.state.keys import DEAD_LETTER_USERS, DEAD_LETTERS_IN_USE, USED_DEAD_LETTERS
from event_gateway.state.ledger import Ledger
from event_gateway.state.records import FORMAT, member_of, source_hash
from event_gateway.state.script_arguments import PackedRun, ReplayStep
from event_gateway.state.scripts import script

_pack = msgspec.msgpack.Encoder().encode


class NewRun(msgspec.Struct, frozen=True):
    """A new run of a delivery, to be started.

    ``max_age_from``: the time from which the webhook's ``max_age`` counts; ``latest``: a deadline
    that holds in any case; both in seconds since the epoch. ``dead_letter``: the position of the
    dead letter from which the run starts (0: none); ``once``: the run starts only if this dead
    letter has not been used before. ``ordered``: the webhook is ordered.
    """

    webhook_id: str
    event_id: str
    source: str
    stream: str
    seq: int
    max_age_from: float
    latest: float
    dead_letter: int = 0
    once: bool = False
    ordered: bool = False


class ChangeResult(msgspec.Struct, frozen=True):
    """What a retry or cancellation by hand did to a delivery, or why it did nothing.

    ``result`` is ``due`` (its next attempt is due now), ``cancelled``, ``needs_run`` (it has ended
    and needs a new run, from ``stream``, ``seq`` and ``dead_letter``), ``ended``, ``in_progress``
    (a process attempts it or is about to), ``in_order`` (its webhook is ordered, it waits for its
    turn), ``none`` (it has no record) or ``newer`` (a newer version of the gateway wrote its
    record).
    """

    result: str
    status: str
    source: str = ""
    stream: str = ""
    seq: int = 0
    dead_letter: int = 0


class Runs:
    """Starts runs. ``dead_letter_retention``: seconds for which dead letters are stored, and so
    for which Redis stores which of them were used. ``count_cancelled`` gets the id of a webhook and
    how many of its deliveries were cancelled. ``report_due`` is called when deliveries have become
    due.

    Methods raise the exceptions in StateError.
    """

    def __init__(
        self,
        client: Redis,
        ledger: Ledger,
        dead_letter_retention: float,
        *,
        count_cancelled: Callable[[str, int], None],
        report_due: Callable[[], None],
    ) -> None:
        self._count_cancelled = count_cancelled
        self._report_due = report_due
        self._client = client
        self._ledger = ledger
        self.dead_letter_retention = dead_letter_retention
        self._start = script(client, "runs/start.lua")
        self._dead_letters_in_use = script(client, "runs/dead_letters_in_use.lua")
        self._retry_or_cancel = script(client, "deliveries/retry_or_cancel.lua")

    def set_dead_letter_retention(self, seconds: float) -> None:
        """Sets for how long dead letters are stored."""
        self.dead_letter_retention = seconds

    async def start(
        self,
        runs: Sequence[NewRun],
        run_by: str,
        replay: str = "",
        holder: str = "",
        step: ReplayStep | None = None,
    ) -> tuple[str, int, list[str]]:
        """Queues at most MAX_RECORDS new runs, and stores the progress of their replay with them.

        ``run_by`` names what starts them: ``retry``, or the replay. Returns the replay's state
        (``lost``: another process runs it), the greatest depth of a queue, and the result of each
        run: ``queued``, ``waiting`` (the delivery has not ended, its present run continues),
        ``done`` (this replay started it before, or the dead letter was used before) or ``newer`` (a
        newer version of the gateway wrote the record).
        """
        packed = [
            PackedRun(
                webhook=run.webhook_id, member=member_of(run.event_id), source=run.source,
                source_hash=source_hash(run.source), stream=run.stream, seq=run.seq,
                max_age_from=round(run.max_age_from * 1000), dead_letter=run.dead_letter,
                latest=round(run.latest * 1000), once=int(run.once), ordered=int(run.ordered),
            )
            for run in runs
        ]  # fmt: skip
        state, depth, results = await self._start(
            _pack(packed), FORMAT, run_by, round(self.dead_letter_retention * 1000), replay, holder,
            _pack(step) if step else b"",
        )  # fmt: skip
        if b"queued" in results:
            self._report_due()
        return state.decode(), int(depth), [result.decode() for result in results]

    async def change(
        self, webhook_id: str, event_id: str, source: str | None, action: str, reason: str = ""
    ) -> ChangeResult:
        """Retries or cancels a delivery. ``action`` is ``retry`` or ``cancel``."""
        hashed = "" if source is None else source_hash(source)
        result, status, *position = await self._retry_or_cancel(
            webhook_id, member_of(event_id), source or "", hashed, action, reason,
            round(self._ledger.retention * 1000), FORMAT,
        )  # fmt: skip
        if result == b"cancelled":
            self._count_cancelled(webhook_id, 1)
        elif result == b"due":
            self._report_due()
        if not position:
            return ChangeResult(result.decode(), status.decode())
        event_source, stream, seq, dead_letter = position
        return ChangeResult(
            result.decode(), status.decode(), event_source.decode(), stream.decode(), int(seq),
            int(dead_letter),
        )  # fmt: skip

    async def dead_letter_in_use(self, webhook_id: str | None) -> int | None:
        """The position of a dead letter that a delivery still needs; None if there is none.

        ``webhook_id``: considers only the dead letters of this webhook.
        """
        if webhook_id is None:
            members = await cast(Any, self._client.smembers(DEAD_LETTER_USERS.key()))
            webhooks = [member.decode() for member in members]
        else:
            webhooks = [webhook_id]
        for webhook in webhooks:
            while True:
                positions = await self._dead_letters_in_use(webhook, 1)
                if positions:
                    return int(positions[0])
                if not await self._client.exists(DEAD_LETTERS_IN_USE.key(webhook)):
                    break
        return None

    async def last_used(self, webhook_id: str, positions: Sequence[int]) -> list[float | None]:
        """When the dead letter at each position was last used for a new run, in seconds since the
        epoch; None: never."""
        if not positions:
            return []
        scores = await self._client.zmscore(
            USED_DEAD_LETTERS.key(webhook_id), [str(position) for position in positions]
        )
        return [None if score is None else score / 1000 for score in scores]
